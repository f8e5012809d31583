/* The protocol of timeshard_horizon(), for spin.

   Backends take IDs in transactions, alone or with a parallel worker, and
   commit, abort or prepare them, while others ask for the horizon. In no order
   of events does a row with an ID below an answer become visible after it, and
   no answer is below one that has been given before. So a consumer that asks,
   and then reads from its cursor to the answer in a later snapshot, sees every
   committed row once. run.sh has spin go through all states, and shows that
   breaking the protocol is noticed.

   What stands for what
     word                       the generator's state: a load, and an exchange that raises it (a
                                lost exchange is one that has not been yet)
     slot, entry                the backends' slots and the table of the prepared: a position and
                                a tag in one word
     lxid                       PGPROC's: cleared in the step that makes the rows visible
     dummy_*, stage             a prepared transaction's PGPROC, which PREPARE fills field by
                                field. It is stale after the end. Whether its transaction is in
                                progress is a question of its own, as TransactionIdIsInProgress
     Backend, Publish, Take     the call's way to an ID, publishing first where the slot's tag is
                                not the transaction's, and then raising the position
     Worker                     a parallel worker of the first backend
     Ender                      COMMIT PREPARED and ROLLBACK PREPARED, by anybody
     Reader                     timeshard_horizon(), and with LITERAL its consumer. Raising the
                                shared maximum is one step, as a compare-and-exchange loop is

   What is left out
   - The size of things: two sequences to a millisecond, milliseconds 0 to LAST_MS, LAST_XID
     transactions that are prepared. With them the search is complete.
   - The clock: an ID is the next in its millisecond or the first of the next one. No position
     comes from a clock.
   - Restart: slots are lost, but so are the transactions they stand for. A dummy restored from
     before the start is a refusal.
   - A call that publishes and is cancelled before its ID, and PREPARE without an ID.
   - The number of a local transaction: there are two tags, and each transaction has either. So
     tags are those of older transactions as often as can be, and must only hold back.
   - Tags of the table that are those of other transactions, but with ALIASED_XIDS, by which
     they come round: they only hold back, too.
   - Memory order: steps are in sequence, as atomic operations and barriers make them.

   The names in run.sh are macros that break one thing each. With LITERAL the
   promises are asserted word for word: what the consumer sees, and the answers
   a call can know of. Without it as one that implies them and needs fewer
   states: when an answer is given, no transaction in progress holds an ID
   below it, and none takes one later. */

#ifndef WRITERS
#define WRITERS 2
#endif
#ifndef WORKERS
#define WORKERS 0
#endif
#ifndef DUMMIES
#define DUMMIES 1
#endif
#ifndef READERS
#define READERS 1
#endif
#ifndef LAST_MS
#define LAST_MS 2
#endif
#ifndef LAST_XID
#define LAST_XID 2
#endif

/* A word: two sequences to a millisecond. */
#define MS(w) ((w) >> 1)
#define FIRST_OF(m) ((m) << 1)
#define LAST_WORD (2 * LAST_MS + 1)
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* A slot or an entry of the table. Tag 0 is nobody's. */
#define PAIR(at, tag) (((at) << 2) | (tag))
#define AT(pair) ((pair) >> 2)
#define TAG(pair) ((pair) & 3)
#ifdef ALIASED_XIDS
#define XID_TAG(x) (1 + ((x) & 1))
#else
#define XID_TAG(x) (x)
#endif

#ifdef WORKER_OWN_SLOT
#define OWNERS (WRITERS + 1)
#define WORKER_PUBLISHES_FOR WRITERS
#else
#define OWNERS WRITERS
#define WORKER_PUBLISHES_FOR 0
#endif

/* Timeshard's shared memory. */
byte word;
#ifdef LITERAL
byte greatest;
#else
#define greatest 0
#endif
byte slot[OWNERS], entry[DUMMIES];

/* PostgreSQL's. A dummy's stage: free, being filled, in progress, and in
   progress with its PREPARE done, which is when others may end it. */
byte lxid[OWNERS];
byte dummy_xid[DUMMIES], dummy_owner[DUMMIES], dummy_lxid[DUMMIES], stage[DUMMIES];
#define FREE 0
#define FILLING 1
#define PREPARED 2
#define UNLOCKED 3
byte next_xid = 1;
bit at_work;
#define IN_PROGRESS(d, x) (stage[d] >= PREPARED && dummy_xid[d] == (x))

/* The lock of the array of what is in progress: how many share it. What comes or
   goes there waits for none. */
byte sharing;
#ifdef COPY_WITHOUT_LOCK
#define COPY_LOCKS skip
#define COPY_UNLOCKS skip
#else
#define COPY_LOCKS sharing++
#define COPY_UNLOCKS sharing--
#endif

/* What the promises are held against, as sets of IDs: what each transaction
   holds (without LITERAL its first ID, the least), what is visible, and what
   each consumer has seen. */
#define BELOW(id) ((1 << (id)) - 1)
byte held[WRITERS], held_prepared[DUMMIES];
#ifdef LITERAL
byte visible, cursor[READERS], seen[READERS];
byte returned;
#endif

/* A commit: the rows are visible, and none is behind a consumer's cursor. */
#ifdef LITERAL
inline Commit(rows) {
  assert((rows & BELOW(cursor[0])) == 0 /* nothing is missed */);
#if READERS > 1
  assert((rows & BELOW(cursor[1])) == 0 /* nothing is missed */);
#endif
  visible = visible | rows;
  rows = 0
}
#else
inline Commit(rows) { rows = 0 }
#endif

inline Issue(rows, id) {
  word = id;
#ifdef LITERAL
  rows = rows | (1 << word)
#else
  rows = (rows == 0 -> 1 << word : rows)
#endif
}

/* The exchange. Where the words are used up the call fails. */
inline Take(rows) {
  if
  :: d_step { word < LAST_WORD -> Issue(rows, word + 1); id = (mine -> word : 0) }
  :: d_step { word < LAST_WORD - 1 && (word & 1) == 0 -> Issue(rows, word + 2); id = (mine -> word : 0) }
  :: d_step { word == LAST_WORD -> mine = 0 }
  fi
}

/* Who has published the position, and has no worker that could have taken a
   lower ID, raises it to the first one that comes of it. */
#ifdef RAISED_BESIDE_A_WORKER
#define MAY_RAISE(me) 1
#else
#define MAY_RAISE(me) ((me) != 0 || !at_work)
#endif
#ifdef RAISED_BY_WHO_HAS_NOT_PUBLISHED
#define PUBLISHED_BEFORE(me) MAY_RAISE(me)
#else
#define PUBLISHED_BEFORE(me) 0
#endif
#ifdef RAISED_PAST_THE_FIRST
#define RAISED (MS(id) + 1)
#else
#define RAISED MS(id)
#endif

inline Raise(me) {
  if
  :: d_step { mine -> slot[me] = PAIR(RAISED, lxid[me]); mine = 0; id = 0 }
  :: !mine
  fi
}

/* A slot whose old tag is that of a prepared transaction is copied before it
   is overwritten. An entry that is this transaction's already does not rise:
   the slot's old tag may be that of a later transaction with the same one. */
#ifdef COPY_RAISES
#define COPIED(e, x) PAIR(AT(old), XID_TAG(x))
#else
#define COPIED(e, x) PAIR((TAG(e) == XID_TAG(x) && AT(e) < AT(old) -> AT(e) : AT(old)), XID_TAG(x))
#endif

inline Copy(me, n) {
  if
  :: d_step { dummy_xid[n] != 0 -> x = dummy_xid[n] }
     if
     :: d_step { dummy_owner[n] == me + 1 && dummy_lxid[n] == TAG(old) -> COPY_LOCKS }
        if
        :: IN_PROGRESS(n, x) ->
          do
          :: e = entry[n];
             if
             :: d_step { entry[n] == e -> entry[n] = COPIED(e, x); e = 0 } break
             :: d_step { entry[n] != e -> e = 0 }
             fi
          od
        :: !IN_PROGRESS(n, x)
        fi;
        if
        :: d_step { x = 0; COPY_UNLOCKS }
        fi
     :: d_step { else -> x = 0 }
     fi
  :: dummy_xid[n] == 0
  fi
}

#if DUMMIES > 1
#define CopyPrepared(me) Copy(me, 0); Copy(me, 1)
#else
#define CopyPrepared(me) Copy(me, 0)
#endif

/* The position is where the word stands. If the exchange is lost, it is to the
   leader or another worker of the transaction. The word and the slot are loaded
   in one step: between them the slot can only become the transaction's. */
#ifdef POSITION_FROM_CLOCK
#define POSITION (MS(word) + 1)
#else
#define POSITION MS(word)
#endif

#ifdef COPY_AFTER_OVERWRITE
#define FORGET_OLD skip
#else
#define FORGET_OLD old = 0
#endif

inline Overwrite(me) {
  if
  :: d_step {
      mine = slot[me] == old && MAY_RAISE(me);
      slot[me] = (slot[me] == old -> PAIR(at, lxid[me]) : slot[me]);
      at = 0;
      FORGET_OLD
    }
  fi
}

inline TakeId(me, rows) {
  if
  :: d_step { word < LAST_WORD && TAG(slot[me]) != lxid[me] -> at = POSITION; old = slot[me] }
#if defined PUBLISH_AFTER_EXCHANGE
    Take(rows);
    CopyPrepared(me);
    Overwrite(me);
#elif defined COPY_AFTER_OVERWRITE
    Overwrite(me);
    CopyPrepared(me);
    old = 0;
    Take(rows);
#else
#ifndef NO_COPY
    CopyPrepared(me);
#endif
    Overwrite(me);
    Take(rows);
#endif
    Raise(me)
  :: d_step { word < LAST_WORD && TAG(slot[me]) == lxid[me] -> mine = PUBLISHED_BEFORE(me) }
    Take(rows);
    Raise(me)
  fi
}

#define me (_pid - 1)

#define MAY_PREPARE(n) ((me > 0 || !at_work) && held[me] != 0 && next_xid <= LAST_XID && stage[n] == FREE)

inline Reserve(n) { stage[n] = FILLING; dummy_xid[n] = 0; x = next_xid; next_xid++ }

proctype Backend() {
  byte at, old, d, x, e, id;
  bit mine;
idle:
  if
  :: lxid[me] = 1
  :: slot[me] != 0 -> lxid[me] = 2
  fi;
open:
  if
  :: TakeId(me, held[me]); goto open
#if WORKERS > 0
  :: d_step { me == 0 && !at_work -> at_work = 1 } goto open
#endif
  :: d_step { me > 0 || !at_work -> Commit(held[me]); lxid[me] = 0 } goto idle
#ifdef LITERAL
  :: d_step { me > 0 || !at_work -> held[me] = 0; lxid[me] = 0 } goto idle
#endif
  :: d_step { MAY_PREPARE(0) -> d = 0; Reserve(0) }
#if DUMMIES > 1
  :: d_step { MAY_PREPARE(1) -> d = 1; Reserve(1) }
#endif
  fi;

/* PREPARE TRANSACTION. */
  dummy_owner[d] = me + 1;
  dummy_lxid[d] = lxid[me];
  d_step { dummy_xid[d] = x; x = 0 };
  d_step { sharing == 0 -> stage[d] = PREPARED };
  d_step { lxid[me] = 0; held_prepared[d] = held[me]; held[me] = 0; stage[d] = UNLOCKED; d = 0 };
  goto idle
}

#if WORKERS > 0
proctype Worker() {
  byte at, old, d, x, e, id;
  bit mine;
waiting:
  if
#ifdef WORKER_OWN_SLOT
  :: d_step { at_work -> lxid[WORKER_PUBLISHES_FOR] = 1 }
#else
  :: at_work
#endif
  fi;
working:
  if
  :: TakeId(WORKER_PUBLISHES_FOR, held[0]); goto working
  :: d_step {
      at_work = 0;
#ifdef WORKER_OWN_SLOT
      lxid[WORKER_PUBLISHES_FOR] = 0
#endif
    }
    goto waiting
  fi
}
#endif

proctype Ender() {
  do
  :: d_step { sharing == 0 && stage[0] == UNLOCKED -> Commit(held_prepared[0]); stage[0] = FREE }
#ifdef LITERAL
  :: d_step { sharing == 0 && stage[0] == UNLOCKED -> held_prepared[0] = 0; stage[0] = FREE }
#endif
#if DUMMIES > 1
  :: d_step { sharing == 0 && stage[1] == UNLOCKED -> Commit(held_prepared[1]); stage[1] = FREE }
#ifdef LITERAL
  :: d_step { sharing == 0 && stage[1] == UNLOCKED -> held_prepared[1] = 0; stage[1] = FREE }
#endif
#endif
  od
}

inline Count(at) { least = MIN(least, at) }

/* An ID that is nobody's: what is taken later is above it. */
inline OwnId() {
  if
  :: d_step { word < LAST_WORD -> word++; Count(MS(word)) }
  :: d_step { word < LAST_WORD - 1 && (word & 1) == 0 -> word = word + 2; Count(MS(word)) }
  fi
}

inline ReadLive(n) {
  if
  :: d_step { lxid[n] != 0 -> got = lxid[n] }
    if
    :: d_step { TAG(slot[n]) == got -> Count(AT(slot[n])); got = 0 }
    :: d_step { TAG(slot[n]) != got -> got = 0 }
    fi
  :: lxid[n] == 0
  fi
}

#ifdef ENDED_WITH_ITS_OWNER
#define COUNTS(n) (IN_PROGRESS(n, x) && lxid[owner - 1] != 0)
#else
#define COUNTS(n) IN_PROGRESS(n, x)
#endif

#ifdef TABLE_OR_SLOT
#define AFTER_SLOT x = (TAG(got) == tag -> 0 : x); got = 0
#else
#define AFTER_SLOT got = 0
#endif

inline CountSlot(n) {
  got = slot[owner - 1];
  if
  :: d_step { TAG(got) == tag -> Count(AT(got)); AFTER_SLOT }
  :: d_step { TAG(got) != tag -> AFTER_SLOT }
  fi
}

inline CountEntry(n) {
  got = entry[n];
  if
  :: d_step { TAG(got) == XID_TAG(x) -> Count(AT(got)); got = 0; x = 0; owner = 0; tag = 0 }
  :: d_step { TAG(got) != XID_TAG(x) -> got = 0; x = 0; owner = 0; tag = 0 }
  fi
}

inline ReadDummy(n) {
  if
  :: d_step { dummy_xid[n] != 0 -> x = dummy_xid[n] }
    d_step { owner = dummy_owner[n]; tag = dummy_lxid[n] };
    if
    :: COUNTS(n) ->
#ifdef TABLE_BEFORE_SLOTS
      entry_first = entry[n];
      CountSlot(n);
      d_step { got = entry_first; entry_first = 0 };
      if
      :: d_step { TAG(got) == XID_TAG(x) -> Count(AT(got)) }
      :: else
      fi;
      if
      :: d_step { got = 0; x = 0; owner = 0; tag = 0 }
      fi
#else
      CountSlot(n);
      CountEntry(n)
#endif
    :: d_step { else -> x = 0; owner = 0; tag = 0 }
    fi
  :: dummy_xid[n] == 0
  fi
}

#if OWNERS > 2
#define ReadAllLive() ReadLive(0); ReadLive(1); ReadLive(2)
#elif OWNERS > 1
#define ReadAllLive() ReadLive(0); ReadLive(1)
#else
#define ReadAllLive() ReadLive(0)
#endif
#if DUMMIES > 1
#define ReadDummies() sharing++; ReadDummy(0); ReadDummy(1); sharing--
#else
#define ReadDummies() sharing++; ReadDummy(0); sharing--
#endif

/* The answer. A call returns with the step that raises the maximum, the
   earliest that it can. */
#ifdef ROUND_UP
#define ANSWER FIRST_OF(least + 1)
#else
#define ANSWER FIRST_OF(least)
#endif

inline Return() {
#ifdef LITERAL
  assert(answer >= before /* no answer goes backwards */);
  returned = MAX(returned, answer);
  before = 0
#else
  assert(word + 1 >= answer /* no transaction will take less */);
  assert((held[0] & BELOW(answer)) == 0 /* no transaction in progress holds less */);
#if WRITERS > 1
  assert((held[1] & BELOW(answer)) == 0 /* no transaction in progress holds less */);
#endif
  assert((held_prepared[0] & BELOW(answer)) == 0 /* no transaction in progress holds less */);
#if DUMMIES > 1
  assert((held_prepared[1] & BELOW(answer)) == 0 /* no transaction in progress holds less */);
#endif
  answer = 0
#endif
}

#ifdef LITERAL
#define consumer (_pid - 2 - WRITERS - WORKERS)

/* The consumer's statement: the rows from its cursor to the answer, in its snapshot. */
inline Consume(snapshot) {
  rows = snapshot & BELOW(answer) & ~BELOW(cursor[consumer]);
  assert((rows & seen[consumer]) == 0 /* nothing is seen twice */);
  seen[consumer] = seen[consumer] | rows;
  cursor[consumer] = answer;
  assert((visible & BELOW(answer) & ~seen[consumer]) == 0 /* nothing is missed */);
  rows = 0;
  answer = 0
}
#endif

proctype Reader() {
  byte least = LAST_MS, got, x, owner, tag, answer;
#ifdef TABLE_BEFORE_SLOTS
  byte entry_first;
#endif
#ifdef LITERAL
  byte before, rows;
#endif
#ifdef SNAPSHOT_BEFORE_QUESTION
  byte snapshot;
#endif
ask:
#ifdef LITERAL
  if
  :: d_step {
    before = returned;
#ifdef SNAPSHOT_BEFORE_QUESTION
    snapshot = visible
#endif
  }
  fi;
#endif
#ifdef SLOTS_BEFORE_OWN_ID
  ReadAllLive();
  ReadDummies();
  OwnId();
#else
  OwnId();
#ifdef DUMMIES_BEFORE_LIVE
  ReadDummies();
  ReadAllLive();
#else
  ReadAllLive();
  ReadDummies();
#endif
#endif
#ifdef MAXIMUM_BY_STORE
  answer = MAX(greatest, ANSWER);
  d_step { greatest = answer; least = LAST_MS; Return() };
#else
  if
  :: d_step {
#ifdef NO_MAXIMUM
    answer = ANSWER;
#else
    answer = MAX(greatest, ANSWER);
#endif
#ifdef LITERAL
    greatest = MAX(greatest, answer);
#endif
    least = LAST_MS;
    Return()
  }
  fi;
#endif
#ifdef LITERAL
#ifdef SNAPSHOT_BEFORE_QUESTION
  d_step { Consume(snapshot); snapshot = 0 };
#else
  d_step { Consume(visible) };
#endif
#endif
  goto ask
}

init {
  byte n;
  atomic {
    for (n : 1 .. WRITERS) { run Backend() }
#if WORKERS > 0
    run Worker();
#endif
    run Ender();
    for (n : 1 .. READERS) { run Reader() }
    n = 0
  }
}
