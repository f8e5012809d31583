/* The protocol between claimants and the registry of node IDs, for spin.

   Servers claim numbers from one registry, extend, use, end and lose their claims; they crash
   and start without end, answers are lost, machines are cloned with their memory, and the
   registry loses its last transactions. One process takes every step, a transaction of the
   registry being one, so that anything can happen between any two of them. In no order of
   events do two servers use one offset of one number, and nobody is told to stop but a clone, or
   a server whose claim ran out and is another's. run.sh has spin go through all states, and shows
   that breaking the protocol is noticed.

   What stands for what
     Claim, Extend, End           timeshard_claim(), timeshard_extend_claim(), timeshard_end_claim()
     Remember, LoseMemory         timeshard_registry_remember() and _lay_to_rest()
     use                          a server may have issued IDs up to a later offset; all below
                                  counts as issued, because its clock may read anything. At an
                                  end no more is reserved, so a call under way changes nothing
     answer                       what the registry replied; it arrives at any time later, or never
     SHOWN, TAG                   what a request shows: the nonce of the last answer, and the tag.
                                  The nonce of the next answer stands for the tag it answers.
                                  Only whether two are the same counts: they are numbered anew
                                  after each step
     clock                        a reading of the registry's clock: anything, at each step. With
                                  TIMED, needed where memory is lost, it is at most SKEW ahead of
                                  a time that never goes back. A server's clock is anything always
     copy                         what a standby, a backup or a snapshot of the registry has: any
                                  of its earlier states
     loss                         a failover or restore: the registry goes on from the copy, on
                                  another system; with ROLLBACK nothing shows that
     run                          of the registry, one more after each loss

   A clone and its original both use what is below the end that either had heard of or was about
   to hear of, and that is let pass, there alone. A clone that ends its claim exposes a third
   server: the manual says so, and here clones crash.

   What is left out: signatures (a proof is what the registry said), locks (each transaction is a
   step), liveness, the clamp of what is given back, timeshard_registry_free(). Offsets end at
   LAST + LENGTH + SKEW + MARGIN; there are SERVERS servers, NUMBERS numbers, LOSSES losses and at
   most CLONES pairs of clones at a time. Nothing else is bounded.

   The names in run.sh are macros that break one thing each. */

#ifndef SERVERS
#define SERVERS 2
#endif
#ifndef NUMBERS
#define NUMBERS 1
#endif
#ifndef LAST
#define LAST 2
#endif
#ifndef LENGTH
#define LENGTH 2 /* the longest claim */
#endif
#ifndef FIRST
#define FIRST 1 /* the first */
#endif
#ifndef LOSSES
#define LOSSES 0
#endif
#ifndef CLONES
#define CLONES 0
#endif
#ifndef SKEW
#define SKEW 0
#endif
#ifndef MARGIN
#define MARGIN SKEW
#endif

#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))
#define AHEAD(age) ((age) < FIRST -> FIRST : MIN(age, LENGTH))
#define SPAN (LAST + LENGTH + SKEW + MARGIN + 1)

/* The registry, and its copy. */
byte end_[NUMBERS], copy_end[NUMBERS];
byte given[NUMBERS], copy_given[NUMBERS]; /* the latest end that anyone was given */
bit resting[NUMBERS], copy_resting[NUMBERS];
byte since[NUMBERS], copy_since[NUMBERS]; /* when it was claimed */
byte newest, copy_newest;                 /* the newest time of a grant */
byte run_ = 1, copy_run = 1;
byte known_system = 1, copy_system = 1;
#ifdef GRACE_WITHOUT_PROOF
byte grace, copy_grace; /* nobody claims before */
#else
#define grace 0
#endif

/* What it runs on. */
byte system_ = 1, losses;
#ifdef TWO_REGISTRIES
byte other_system = 2;
#endif

/* The servers. */
#define NO_ANSWER 0
#define CLAIMED 1
#define EXTENDED 2
#define CONFIRMED 3
#define NOT_YOURS 4
#define KEPT 5
bit holds[SERVERS], cloned[SERVERS];
byte number[SERVERS], end[SERVERS], used[SERVERS], heard[SERVERS], shared[SERVERS];
byte answer[SERVERS], a_number[SERVERS], a_floor[SERVERS], a_end[SERVERS], a_run[SERVERS];

/* All nonces and tags; 0 is none. */
#define NONCES (2 * NUMBERS + 3 * SERVERS)
#define FRESH (NONCES + 1)
byte nonce[NONCES];
#define REGISTRY(n) nonce[n]
#define COPY(n) nonce[NUMBERS + (n)]
#define SHOWN(k) nonce[2 * NUMBERS + 3 * (k)]
#define TAG(k) nonce[2 * NUMBERS + 3 * (k) + 1]
#define ANSWERED(k) nonce[2 * NUMBERS + 3 * (k) + 2]

/* What the promises are held against: what was issued, and the floor of each number's latest claim. */
bit issued[NUMBERS * SPAN];
byte latest_floor[NUMBERS];
#define ISSUED(n, o) issued[(n) * SPAN + (o)]

#ifdef TIMED
byte time;
#endif
byte k, n, c, o, t, u; /* of a step; 0 between */

inline ReadClock() {
#ifdef TIMED
  select(c : 0 .. SKEW); c = c + time; skip
#else
  select(c : 0 .. LAST); skip
#endif
}

/* The same nonces under the least numbers, in the order in which they are found. */
inline Renumber() {
  t = 0;
  for (o : 0 .. NONCES - 1) { if :: nonce[o] != 0 -> nonce[o] = nonce[o] + 100 :: else fi }
  for (o : 0 .. NONCES - 1) {
    if
    :: nonce[o] > 100 ->
      t++; c = nonce[o];
      for (u : o .. NONCES - 1) { if :: nonce[u] == c -> nonce[u] = t :: else fi }
    :: else
    fi
  }
  t = 0; u = 0; o = 0; c = 0
}

inline ClearAnswer() {
  answer[k] = NO_ANSWER; a_number[k] = 0; a_floor[k] = 0; a_end[k] = 0; a_run[k] = 0; ANSWERED(k) = 0
}

inline ClearServer() {
  ClearAnswer();
  holds[k] = 0; cloned[k] = 0; number[k] = 0; end[k] = 0; used[k] = 0; heard[k] = 0; shared[k] = 0;
  SHOWN(k) = 0; TAG(k) = 0
}

#ifdef FREE_BY_CLOCK
#define FREE_THEN(n) (end_[n] <= c && !resting[n])
#else
#define FREE_THEN(n) (end_[n] <= newest && !resting[n])
#endif
#ifdef RESTS_SHORTEST
#define UNKNOWN 0
#else
#define UNKNOWN (c - newest)
#endif

/* Whatever anyone may hold, rests. */
inline LoseMemory() {
  assert(losses > 0 /* no false alarm */);
  run_ = MAX(run_, heard[k]) + 1;
  known_system = system_;
#ifdef GRACE_WITHOUT_PROOF
  grace = c + LENGTH;
#else
  for (o : 0 .. NUMBERS - 1) {
#ifndef NO_REST
    end_[o] = MAX(end_[o], c + (FREE_THEN(o) -> AHEAD(UNKNOWN) : LENGTH) + MARGIN);
    given[o] = MAX(given[o], end_[o]);
#endif
    resting[o] = 1
  }
  o = 0
#endif
}

/* Each transaction begins with it. */
inline Remember() {
  c = MAX(c, newest);
  if
#ifdef NO_DETECTION
  :: true
#else
  :: known_system != system_ -> LoseMemory()
  :: known_system == system_ && heard[k] > run_ -> LoseMemory()
  :: known_system == system_ && heard[k] <= run_ && holds[k] && !resting[number[k]] && end[k] > given[number[k]] -> LoseMemory()
  :: else
#endif
  fi
}

inline Granted() {
  a_end[k] = end_[n]; a_run[k] = run_; newest = c;
  given[n] = MAX(given[n], end_[n])
}

/* A number that was given back can be had a little before its end has passed. */
inline Claim() {
  Remember();
  if
  :: c >= grace && (end_[n] <= c || REGISTRY(n) == 0 && !resting[n] && end_[n] <= c + FIRST) ->
    answer[k] = CLAIMED; a_number[k] = n;
#ifdef FLOOR_BY_CLOCK
    a_floor[k] = c;
#else
    a_floor[k] = end_[n];
#endif
    end_[n] = c + FIRST; since[n] = c; resting[n] = 0;
    REGISTRY(n) = FRESH; ANSWERED(k) = FRESH;
    latest_floor[n] = a_floor[k];
    Granted()
  :: else
  fi
}

#ifdef NO_PROOF
#define IS_HOLDER (!resting[n])
#else
#ifdef GRACE_WITHOUT_PROOF
#define IS_HOLDER (REGISTRY(n) == SHOWN(k) || c < grace)
#else
#define IS_HOLDER (!resting[n] && REGISTRY(n) == SHOWN(k))
#endif
#endif
#define IS_REPEATED (!resting[n] && !IS_HOLDER && REGISTRY(n) == TAG(k))
#ifdef BELIEVE_EXPIRED
#define IS_BELIEVED (resting[n])
#else
#define IS_BELIEVED (resting[n] && end[k] > c + MARGIN)
#endif

inline Extend() {
  Remember();
  n = number[k];
#ifdef TAG_FORGOTTEN /* a lost answer takes its nonce along */
  TAG(k) = 0;
#endif
  if
  :: TAG(k) == 0 -> TAG(k) = FRESH
  :: else
  fi;
  if
  :: IS_HOLDER ->
#ifdef GRACE_WITHOUT_PROOF
    end_[n] = MAX(end_[n], end[k]);
#endif
    end_[n] = MAX(end_[n], c + AHEAD(c - since[n]));
    REGISTRY(n) = TAG(k); answer[k] = EXTENDED; Granted()
  :: IS_REPEATED ->
#ifdef REPEATED_EXTENDS
    end_[n] = MAX(end_[n], c + AHEAD(c - since[n]));
    answer[k] = EXTENDED; Granted()
#else
    answer[k] = CONFIRMED; a_end[k] = end[k]; a_run[k] = run_
#endif
  :: IS_BELIEVED ->
    end_[n] = MAX(end[k], c + FIRST); since[n] = c; resting[n] = 0;
    REGISTRY(n) = TAG(k); answer[k] = EXTENDED; Granted()
  :: resting[n] && !IS_BELIEVED && !IS_HOLDER -> answer[k] = KEPT
  :: else ->
#ifndef NOT_CLOSED
    assert(cloned[k] || end[k] <= latest_floor[n] /* no false alarm */);
#endif
    answer[k] = NOT_YOURS
  fi
}

inline End() {
  Remember();
  n = number[k];
  if
  :: !resting[n] && (REGISTRY(n) == SHOWN(k) || TAG(k) != 0 && REGISTRY(n) == TAG(k)) ->
    end_[n] = MIN(end_[n], used[k]); REGISTRY(n) = 0
  :: resting[n] && end[k] > c + MARGIN ->
    end_[n] = used[k]; REGISTRY(n) = 0; resting[n] = 0
  :: else
  fi
}

/* The registry goes on from the copy. */
inline GoOnFromCopy() {
  for (n : 0 .. NUMBERS - 1) {
    end_[n] = copy_end[n]; given[n] = copy_given[n]; resting[n] = copy_resting[n]; since[n] = copy_since[n];
    REGISTRY(n) = COPY(n)
  }
  newest = copy_newest; known_system = copy_system; run_ = copy_run;
#ifdef GRACE_WITHOUT_PROOF
  grace = copy_grace;
#endif
  n = 0
}

inline Copy() {
  for (n : 0 .. NUMBERS - 1) {
    copy_end[n] = end_[n]; copy_given[n] = given[n]; copy_resting[n] = resting[n]; copy_since[n] = since[n];
    COPY(n) = REGISTRY(n)
  }
  copy_newest = newest; copy_system = known_system; copy_run = run_;
#ifdef GRACE_WITHOUT_PROOF
  copy_grace = grace;
#endif
  n = 0
}

/* After the last loss the copy is of no use. */
inline ClearCopy() {
  for (n : 0 .. NUMBERS - 1) {
    copy_end[n] = 0; copy_given[n] = 0; copy_resting[n] = 0; copy_since[n] = 0; COPY(n) = 0
  }
  copy_newest = 0; copy_system = 0; copy_run = 0;
#ifdef GRACE_WITHOUT_PROOF
  copy_grace = 0;
#endif
  n = 0
}

#ifdef TWO_REGISTRIES
inline Exchange(a, b) { t = a; a = b; b = t }
#endif

active proctype Everything() {
  do
  :: atomic {
      select(k : 0 .. SERVERS - 1); skip;
      if
      :: !holds[k] && answer[k] == NO_ANSWER -> select(n : 0 .. NUMBERS - 1); ReadClock();
        d_step { Claim() };
        printf("server %d claims number %d at %d: answer %d [%d,%d)\n", k, n, c, answer[k], a_floor[k], a_end[k])
      :: holds[k] && answer[k] == NO_ANSWER -> ReadClock();
        d_step { Extend() };
        printf("server %d extends number %d to %d at %d: answer %d end %d\n", k, number[k], end[k], c, answer[k], a_end[k])
#ifdef TAG_KEPT
      /* Of a request that never reaches the registry. */
      :: holds[k] && answer[k] == NO_ANSWER && TAG(k) == 0 ->
        TAG(k) = FRESH; printf("server %d asks in vain and keeps its tag\n", k)
#endif
      :: answer[k] == CLAIMED ->
        d_step {
          holds[k] = 1; number[k] = a_number[k]; used[k] = a_floor[k]; end[k] = a_end[k]; SHOWN(k) = ANSWERED(k);
          heard[k] = a_run[k]; ClearAnswer()
        };
        printf("server %d has it\n", k)
      :: answer[k] == EXTENDED || answer[k] == CONFIRMED ->
        d_step {
          end[k] = MAX(end[k], a_end[k]); SHOWN(k) = TAG(k); TAG(k) = 0; heard[k] = MAX(heard[k], a_run[k]); ClearAnswer()
        };
        printf("server %d hears so\n", k)
      :: answer[k] == NOT_YOURS ->
        d_step { ClearServer() };
        printf("server %d hears so and stops\n", k)
      :: answer[k] != NO_ANSWER && holds[k] -> d_step { ClearAnswer() }; printf("server %d never hears it, or it changes nothing\n", k)
      :: holds[k] && used[k] < end[k] -> select(o : used[k] + 1 .. end[k]); skip;
        printf("server %d may have issued on number %d from %d below %d\n", k, number[k], used[k], o);
        d_step {
          t = o;
          for (o : used[k] .. t - 1) {
#ifdef CLONES_ALONE
            assert(!ISSUED(number[k], o) /* one server alone */);
#else
            assert(!ISSUED(number[k], o) || cloned[k] && o < shared[k] /* one server alone */);
#endif
            ISSUED(number[k], o) = 1
          }
          used[k] = t; t = 0; o = 0
        }
      /* A clean stop. It waits for no answer, and what the server has used is final. */
#ifdef CLONES_END
      :: holds[k] && answer[k] == NO_ANSWER -> ReadClock();
#else
      :: holds[k] && answer[k] == NO_ANSWER && !cloned[k] -> ReadClock();
#endif
        d_step { End() };
        printf("server %d stops at %d and ends at %d: number %d now ends %d\n", k, used[k], c, number[k], end_[number[k]]);
#ifndef NOT_CLOSED
        d_step { ClearServer() }
#endif
      :: holds[k] || answer[k] != NO_ANSWER -> d_step { ClearServer() }; printf("server %d crashes\n", k)
#if CLONES > 0
      :: holds[k] && !cloned[k] -> select(n : 0 .. SERVERS - 1);
        if
        :: !holds[n] && answer[n] == NO_ANSWER ->
          d_step {
            holds[n] = 1; number[n] = number[k]; used[n] = used[k]; end[n] = end[k]; heard[n] = heard[k];
            SHOWN(n) = SHOWN(k); TAG(n) = TAG(k);
            cloned[k] = 1; cloned[n] = 1; shared[k] = MAX(end[k], a_end[k]); shared[n] = shared[k]
          };
          printf("server %d is a clone of server %d\n", n, k)
        :: else
        fi
#endif
      :: else
      fi;
      d_step { n = 0; o = 0; c = 0; Renumber(); k = 0 }
    }
#ifdef TWO_REGISTRIES
  /* The old one was not stopped: who asks next, asks the other. */
  :: d_step {
      losses > 0 ->
      for (n : 0 .. NUMBERS - 1) {
        Exchange(end_[n], copy_end[n]); Exchange(given[n], copy_given[n]); Exchange(resting[n], copy_resting[n]);
        Exchange(since[n], copy_since[n]); Exchange(REGISTRY(n), COPY(n))
      }
      Exchange(newest, copy_newest); Exchange(known_system, copy_system); Exchange(run_, copy_run);
      Exchange(system_, other_system);
      t = 0; n = 0; Renumber();
      printf("the other registry answers\n")
    }
#endif
#if LOSSES > 0
  :: d_step { losses < LOSSES -> Copy(); Renumber(); printf("the copy is up to date\n") }
  :: atomic {
      losses < LOSSES ->
#ifdef TWO_REGISTRIES
      d_step { losses++; printf("a second registry begins with the copy\n") }
#else
      d_step { losses++; GoOnFromCopy() };
#ifdef ROLLBACK
#ifdef TOLD
      ReadClock();
      d_step { c = MAX(c, newest); k = SERVERS - 1; u = heard[k]; heard[k] = 0; LoseMemory(); heard[k] = u; u = 0; k = 0 };
#endif
#else
      d_step { system_++ };
#endif
      printf("the registry goes on from the copy\n");
      d_step {
        if
        :: losses == LOSSES -> ClearCopy()
        :: else
        fi;
        n = 0; c = 0; Renumber()
      }
#endif
    }
#endif
#ifdef TIMED
  :: atomic { time < LAST -> time++; printf("time %d\n", time) }
#endif
  od
}
