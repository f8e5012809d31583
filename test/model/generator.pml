/* The protocol by which Timeshard never repeats an ID, for spin.

   Three sessions of one server take IDs while the clock is set to anything at
   any moment, extensions of the reservation fail half way, and the server
   crashes between any two steps, any number of times. In no order of events is
   an ID issued twice, and a call that starts after another has returned gets
   the larger ID, in the same server run or in a later one. run.sh has spin go
   through all states, and shows that breaking the protocol is noticed.

   What stands for what
     Session, start to exchange   the hot path and TakeNext; Advance is Advance. `limit` is
                                  renew_at at first, the end of the reservation on the slow path
     Session, reserve             the slow path: the lock taken conditionally. Without it a call
                                  goes on below the end, and past the end tries again
     Session, to floor            recovery, the first under the lock in a server run: of the
                                  valid slots the one with the higher generation; the state word
                                  raised to the last word of the floor's millisecond. Where
                                  the slots differ the record is first written again and synced:
                                  what is read may be in memory only (see TRUST_WHAT_IS_READ)
     Session, extend to extended  the extension: clock, write, sync, copy, publish end and
                                  renew_at. A step that fails goes to `failed`, an ereport
     Session with `raising`       timeshard_raise_floor: the same write, then the word raised
     Faults                       kill -9, which loses shared memory, and power loss, which also
                                  leaves of unsynced writes the old, the new or a torn record.
                                  It kills the sessions one by one before the server starts
     Clock                        only with HEALTHY_CLOCK: time that passes and never goes back

   What is left out
   - The size of things: offsets 0 to 3 (LAST_OFFSET), two sequences to a millisecond, a window
     of one or two milliseconds, whichever comes, renewed when one is left. With them the search
     is complete.
   - The clock, but in HEALTHY_CLOCK: each reading answers anything.
   - Waiting and refusing, a floor far ahead included: neither changes the state, so both are a
     call that ends without an ID.
   - Floors from elsewhere (pg_control, replayed commits): they only raise the word further.
   - Both slots damaged at rest, a mark that is missing or was copied, other identities. The
     checksum is taken to tell a torn record always.
   - Memory order: steps are in sequence, as the atomic operations and the lock make them.

   Besides, the mark can always be read. With HEALTHY_CLOCK, where neither crashes nor raised
   floors are: no session sees the clock behind, and no ID is of a millisecond that has not begun.

   The names in run.sh are macros that break one thing each. With LITERAL the
   promises are asserted word for word, each on its own; without it as one that
   implies both and needs fewer states: an ID is larger than all before it. */

#ifndef SESSIONS
#define SESSIONS 3
#endif
#ifndef LAST_OFFSET
#define LAST_OFFSET 3
#endif
#define WINDOW 2
#define HALF_WINDOW 1

/* A word: two sequences to a millisecond. */
#define OFFSET(w) ((w) >> 1)
#define SEQUENCE(w) ((w) & 1)
#define FIRST_OF(o) ((o) << 1)
#define LAST_OF(o) (((o) << 1) | 1)
#define MAX(a, b) ((a) > (b) -> (a) : (b))

/* A record of the mark. A torn one fails its checksum and says nothing. */
#define RECORD(g, e) (((g) << 3) | (e))
#define GENERATION(r) ((r) >> 3)
#define END(r) ((r) & 7)
#define TORN 0

/* Shared memory: lost in a crash. */
byte word, end, renew_at, generation;
bit locked, floor_taken;

/* The mark's two slots, as the system shows them and as they are on the disk. */
byte cache[2], disk[2];
bit dirty[2];

/* 0, or who is the next to die of a crash: a session, then the server itself. */
byte crashing;
#ifdef HEALTHY_CLOCK
byte clock;
#endif

/* What the promises are held against: the largest ID that any call has
   returned or that a raised floor has ruled out, over all runs; which IDs
   have been issued; and, for each call, what `top` was when it started. */
byte top;
#ifdef LITERAL
bit issued[2 * (LAST_OFFSET + 1)];
byte before_[SESSIONS + 1];
#define before before_[_pid]
#endif

/* What a session holds, by its process number. A crash clears it. */
byte last_[SESSIONS + 1], now_[SESSIONS + 1], next_[SESSIONS + 1], limit_[SESSIONS + 1], want_[SESSIONS + 1], span_[SESSIONS + 1];
bit raising_[SESSIONS + 1];
#define last last_[_pid]
#define now now_[_pid]
#define next next_[_pid]
#define limit limit_[_pid]
#define want want_[_pid]
#define span span_[_pid]
#define raising raising_[_pid]

/* What `next` says when it is no word. */
#define NOTHING 0
#define UNRESERVED 100
#define AGAIN 101
#define TO_CLOCK 102
#define TO_FLOOR 103
#define TO_RAISE 104
#define TO_END 105

#ifdef LITERAL
#define CALL_STARTS before = top
#define CALL_ENDS before = 0
/* A broken protocol may lose the mark, which is refused, and outgrow the model. */
#define MARK_ALLOWS (locked || floor_taken || cache[0] != TORN || cache[1] != TORN)
#define TOO_MANY (generation >= 8)
#else
#define CALL_STARTS skip
#define CALL_ENDS skip
#define MARK_ALLOWS true
#define TOO_MANY false
#endif

inline Forget() {
  last = 0; now = 0; next = NOTHING; limit = 0; want = 0; raising = 0; CALL_ENDS
}

/* The checks of an ID at its exchange. A call returns with its exchange, the
   earliest that it can, so that order is asked of as many pairs as can be. */
inline Issue() {
#ifdef HEALTHY_CLOCK
  assert(OFFSET(next) <= clock /* honest time */);
#endif
#ifdef LITERAL
  assert(!issued[next] /* unique */);
  assert(next > before /* ordered */);
  issued[next] = 1;
#else
  assert(next > top /* unique and ordered */);
#endif
  top = MAX(top, next)
}

/* Advance, with the limit of TakeNext. Leaves a word in `next`, or the reason
   for none. Behind the clock or out of sequences a call ends: whether it waits
   and calls again or gives up makes no difference here. */
inline Advance() {
  if
#ifdef SEQUENCE_RESET_FIRST
  :: now != OFFSET(last) && now > 0 && now < limit -> next = FIRST_OF(now)
#endif
  :: now < OFFSET(last) ->
#ifdef HEALTHY_CLOCK
    assert(now >= OFFSET(last) /* no false alarm */);
#endif
    Forget()
#ifndef ISSUE_PAST_RESERVATION
  :: now >= OFFSET(last) && now >= limit -> next = UNRESERVED
#endif
  :: else ->
    if
    :: now > OFFSET(last) -> next = FIRST_OF(now)
    :: now == OFFSET(last) && SEQUENCE(last) == 0 -> next = last + 1
#ifdef BORROWED_FUTURE
    :: now == OFFSET(last) && SEQUENCE(last) == 1 && now < LAST_OFFSET -> next = FIRST_OF(now + 1)
#endif
    :: else -> Forget()
    fi
  fi;
  now = 0
}

/* TakeNext up to its first exchange. A clock that can be set at any moment is
   one that answers anything, and then it does not matter that the word is
   loaded in the same step; with a healthy clock it does, and that the clock is
   read again when the word is ahead. */
#define TAKE_AT(time) d_step { now = time; last = word; Advance() }

/* pwrite of a slot. What an earlier write has left unsynced there may have
   reached the disk meanwhile. */
inline Write(slot, record) {
  if
  :: d_step { dirty[slot] && cache[slot] != disk[slot] -> disk[slot] = cache[slot]; cache[slot] = record }
  :: d_step { cache[slot] = record; dirty[slot] = 1 }
  fi
}

/* The kernel gives up an unsynced slot: the disk keeps the old record, has the
   new one, or a torn one. Rewriting the same bytes cannot tear them. */
inline Abandon(slot) {
  if
  :: !dirty[slot]
  :: d_step { dirty[slot] -> dirty[slot] = 0 }
  :: d_step { dirty[slot] && cache[slot] != disk[slot] -> dirty[slot] = 0; disk[slot] = cache[slot] }
  :: d_step { dirty[slot] && cache[slot] != disk[slot] -> dirty[slot] = 0; disk[slot] = TORN }
  fi
}

inline MarkSynced() {
  d_step {
    disk[0] = (dirty[0] -> cache[0] : disk[0]); dirty[0] = 0;
    disk[1] = (dirty[1] -> cache[1] : disk[1]); dirty[1] = 0
  }
}

/* pg_fdatasync. After a failure the kernel takes the slots for clean, still
   shows what was written, and syncing again would succeed and do nothing. */
inline Sync() {
  if
  :: MarkSynced()
#ifndef HEALTHY_CLOCK
  :: atomic { Abandon(0); Abandon(1); goto failed }
#endif
  fi
}

/* Only the order of generations and their parity count, so they are numbered
   again from the bottom where that can be done: any number of extensions and
   crashes fits into a few values. */
#define CAN_AGE(r) ((r) == TORN || GENERATION(r) >= 4)
#define AGED(r) ((r) == TORN -> TORN : (r) - RECORD(2, 0))

inline Renumber() {
  if
  :: CAN_AGE(cache[0]) && CAN_AGE(cache[1]) && CAN_AGE(disk[0]) && CAN_AGE(disk[1]) &&
     (generation == 0 || generation >= 4) ->
    cache[0] = AGED(cache[0]); cache[1] = AGED(cache[1]); disk[0] = AGED(disk[0]); disk[1] = AGED(disk[1]);
    generation = (generation == 0 -> 0 : generation - 2)
  :: else
  fi
}

#ifdef OVERWRITE_SYNCED_SLOT
#define SLOT_OF(record) 0
#else
#define SLOT_OF(record) (GENERATION(record) & 1)
#endif

proctype Session() provided (crashing == 0 || crashing == _pid) {
start:
  {
    atomic {
      if
      :: d_step { limit = renew_at; CALL_STARTS }
#ifndef HEALTHY_CLOCK
      :: d_step { _pid == 1 -> raising = 1; want = 1 } goto reserve
      :: d_step { _pid == 1 -> raising = 1; want = LAST_OFFSET - 1 } goto reserve
#endif
      fi;
take:
#ifdef HEALTHY_CLOCK
      now = clock
    };
    atomic {
      d_step {
        last = word;
#ifndef CLOCK_READ_ONCE
        if
        :: now < OFFSET(last) -> now = 0; next = AGAIN
        :: else -> Advance()
        fi
#else
        Advance()
#endif
      };
      if
      :: next == AGAIN
      :: next == NOTHING -> goto start
      :: next == UNRESERVED -> goto reserve
      :: else -> goto exchange
      fi
    };
    atomic {
      d_step { next = NOTHING; now = clock; Advance() };
#else
      if
      :: TAKE_AT(0)
      :: TAKE_AT(1)
      :: TAKE_AT(2)
#if LAST_OFFSET >= 3
      :: TAKE_AT(3)
#endif
#if LAST_OFFSET >= 4
      :: TAKE_AT(4)
#endif
      fi;
#endif
      if
      :: next == NOTHING -> goto start
      :: next == UNRESERVED -> goto reserve
      :: else
      fi
    };
exchange:
    atomic {
      d_step {
        if
        :: word == last -> word = next; Issue(); Forget()
        :: else -> /* a lost race */
          last = word;
#ifdef LOST_EXCHANGE_COUNTS
          Issue(); Forget()
#else
#ifndef LOST_RACE_WITHOUT_RECHECK
#ifdef LOST_RACE_IS_A_STEP
          now = OFFSET(next);
#else
          now = MAX(OFFSET(next), OFFSET(last));
#endif
          if
          :: OFFSET(last) == now && SEQUENCE(last) == 1 -> last = 0; now = 0; next = AGAIN
          :: else -> Advance()
          fi
#endif
#endif
        fi
      };
      if
      :: next == NOTHING -> goto start
      :: next == AGAIN -> next = NOTHING; goto take
      :: next == UNRESERVED -> goto reserve
      :: else -> goto exchange
      fi;

/* The slow path: the lock, conditionally. */
reserve:
      if
      :: d_step {
        !(locked && raising) && MARK_ALLOWS;
        last = 0; next = NOTHING;
        if
        :: locked && limit != end -> limit = end; next = AGAIN
        :: locked && limit == end -> Forget(); next = TO_END
        :: else ->
          locked = 1; limit = 0;
          if
          :: floor_taken -> next = TO_CLOCK
          :: else ->
            last = (GENERATION(cache[0]) >= GENERATION(cache[1]) -> cache[0] : cache[1]);
#ifndef LITERAL
            assert(last != TORN /* the mark can be read */);
#endif
#ifndef TRUST_WHAT_IS_READ
            next = (cache[0] == cache[1] -> TO_FLOOR : NOTHING)
#else
            next = TO_FLOOR
#endif
          fi
        fi
      }
      fi;
      if
      :: next == AGAIN -> next = NOTHING; goto take
      :: next == TO_END -> next = NOTHING; goto start
      :: next == TO_CLOCK -> next = NOTHING; goto extend
      :: next == TO_FLOOR -> next = NOTHING; goto floor
      :: else
      fi;

/* Recovery: the first in a server run. */
#ifdef SYNC_WITHOUT_REWRITE
      skip
#else
      Write(SLOT_OF(last), last)
#endif
    };
    Sync();
floor:
    if
    :: d_step {
      generation = GENERATION(last);
      end = END(last);
#ifdef FLOOR_NOT_NEXT
      word = MAX(word, MAX(LAST_OF(end), 2) - 2);
#else
      word = MAX(word, LAST_OF(end));
#endif
      floor_taken = 1;
      last = 0
    }
    fi;

/* An extension, or raise_floor's. */
extend:
    atomic {
      if
      :: raising
#ifdef HEALTHY_CLOCK
      :: !raising -> now = clock
#else
      :: !raising -> now = 0
      :: !raising -> now = 1
      :: !raising -> now = 2
#if LAST_OFFSET >= 3
      :: !raising -> now = 3
#endif
#if LAST_OFFSET >= 4
      :: !raising -> now = 4
#endif
#endif
      fi;
      if
      :: raising
      :: !raising -> span = 1
      :: !raising -> span = WINDOW
      fi;
      d_step {
        if
        :: raising && end >= want -> next = TO_RAISE
        :: !raising && (now < renew_at || TOO_MANY) -> next = TO_END
        :: else ->
          want = (raising -> want : now + span);
#ifndef LITERAL
          assert(generation < 8 /* the model is large enough */);
#endif
#ifdef END_CAN_FALL
          next = RECORD(generation + 1, want)
#else
          next = RECORD(generation + 1, MAX(want, end))
#endif
        fi;
        now = 0;
        span = 0;
        want = (raising -> want : 0)
      };
      if
      :: next == TO_RAISE -> goto raise
      :: next == TO_END -> goto extended
      :: else
      fi;
#ifdef ADVANCE_BEFORE_SUCCESS
      generation++;
#endif
      if
      :: Write(SLOT_OF(next), next)
      :: goto failed
      fi
    };
#ifdef PUBLISH_BEFORE_SYNC
    d_step { end = END(next); generation = GENERATION(next) };
    renew_at = MAX(END(next), HALF_WINDOW) - HALF_WINDOW;
    Sync();
    atomic { Write(1 - SLOT_OF(next), next) };
#else
#ifdef COPY_BEFORE_SYNC
    atomic { Write(1 - SLOT_OF(next), next) };
#endif
#ifdef RETRIED_SYNC
    if
    :: MarkSynced()
    :: atomic { Abandon(0); Abandon(1) } /* and the second try succeeds */
    fi;
#else
#ifndef NO_SYNC
    Sync();
#endif
#endif
    atomic { Write(1 - SLOT_OF(next), next) };
    d_step { end = END(next); generation = GENERATION(next) };
    renew_at = MAX(END(next), HALF_WINDOW) - HALF_WINDOW;
#endif
raise:
    if
    :: d_step {
      if
      :: raising ->
#ifdef RAISE_BY_STORE
        word = LAST_OF(want);
#else
        word = MAX(word, LAST_OF(want));
#endif
        top = MAX(top, LAST_OF(want))
      :: else
      fi
    }
    fi;
extended:
    atomic {
      d_step {
        locked = 0; Renumber();
        if
        :: raising -> Forget()
        :: else -> next = AGAIN; limit = end
        fi
      };
      if
      :: next == AGAIN -> next = NOTHING; goto take
      :: else -> goto start
      fi
    };

/* An error: the lock is released as PostgreSQL does it, nothing else is undone. */
failed:
    if
    :: d_step { locked = 0; Renumber(); Forget() }
    fi;
    goto start
  } unless {
    d_step { crashing == _pid -> crashing++ };
    goto start
  }
}

#ifdef HEALTHY_CLOCK
proctype Clock() {
  do
  :: d_step { clock < LAST_OFFSET -> clock++ }
  od
}
#else
proctype Faults() provided (crashing == 0 || crashing > SESSIONS) {
  byte n;
  do
  :: d_step {
      crashing == 0 ->
      word = 0; end = 0; renew_at = 0; generation = 0; locked = 0; floor_taken = 0;
      for (n : 1 .. SESSIONS) {
        last_[n] = 0; now_[n] = 0; next_[n] = NOTHING; limit_[n] = 0; want_[n] = 0; span_[n] = 0; raising_[n] = 0;
#ifdef LITERAL
        before_[n] = 0;
#endif
      }
      n = 0;
      crashing = 1
    }
  :: atomic {
      crashing > SESSIONS ->
      if
      :: Abandon(0); Abandon(1); d_step { cache[0] = disk[0]; cache[1] = disk[1] }
      :: if :: !dirty[0] -> cache[0] = disk[0] :: true fi;
         if :: !dirty[1] -> cache[1] = disk[1] :: true fi
      fi;
      d_step { Renumber(); crashing = 0 }
    }
  od
}
#endif

init {
  byte n;
  atomic {
    cache[0] = RECORD(2, 0); cache[1] = cache[0]; disk[0] = cache[0]; disk[1] = cache[0];
    for (n : 1 .. SESSIONS) { run Session() }
    n = 0;
#ifdef HEALTHY_CLOCK
    run Clock()
#else
    run Faults()
#endif
  }
}
