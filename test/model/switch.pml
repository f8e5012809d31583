/* Claimed node IDs inside one server, for spin: sessions take IDs while the worker changes the
   claim under them, or gives it back. In no order of events does an ID carry a number at an
   offset that this server has not claimed of that number, and each ID is larger than all before
   it, whatever the clock does. claims.pml is about who is given which interval.

   What stands for what
     Session      the limit, then the node field, then TakeNext: clock and word, the exchange, and
                  again with the same limit and node after a lost exchange. Past the limit: an
                  extension of the reservation under the lock, taken conditionally
     Worker       a claim: the registry gives [floor, end) of a number. Its clock may read anything
                  Switch: under the lock the claim's end 0, so that nothing is extended; the word to the
                  floor of the mark's end, which no limit that a session has read exceeds, and below
                  the claim's floor; the node field; the claim's end
                  An extension of the claim. Refused the number: the claim's end 0, then the limit,
                  under the lock. Giving the number back: the claim's end 0, and what is given
                  back begins at the mark's end

   A word has two sequences to a millisecond. Memory order is not modelled: steps are in sequence. The
   names in run.sh are macros that break one thing each. */

#ifndef SESSIONS
#define SESSIONS 2
#endif
#ifndef LAST
#define LAST 3
#endif
#ifndef LENGTH
#define LENGTH 2
#endif
#ifndef CLAIMS
#define CLAIMS 3
#endif
#define WINDOW 2

#define SPAN (LAST + LENGTH + 2)
#define OFFSET(w) ((w) >> 1)
#define SEQUENCE(w) ((w) & 1)
#define FIRST_OF(o) ((o) << 1)
#define LAST_OF(o) (((o) << 1) | 1)
#define MAX(a, b) ((a) > (b) -> (a) : (b))
#define MIN(a, b) ((a) < (b) -> (a) : (b))

byte word, limit, mark, node, claim_end;
bit locked, stopped;

/* What the promises are held against: what is claimed, of number 1 or 2; the registry's end of
   each number; the largest ID so far. */
bit own[3 * SPAN];
byte registry_end[3];
short top;
#define OWN(n, o) own[(n) * SPAN + (o)]
#define ID(n, w) (OFFSET(w) * 8 + (n) * 2 + SEQUENCE(w))

#ifdef LIMIT_FOR_NEW_MILLISECONDS
#define WITHIN(o) true
#else
#define WITHIN(o) ((o) < my_limit)
#endif

inline Issue(n, w) {
  assert(n != 0 && OWN(n, OFFSET(w)) /* claimed */);
  assert(ID(n, w) > top /* ordered */);
  top = ID(n, w)
}

proctype Session() {
  byte my_limit, my_node, now, last, next;
start:
#ifdef NODE_BEFORE_LIMIT
  atomic { my_limit = 0; now = 0; last = 0; next = 0; my_node = node };
  my_limit = limit;
#else
  atomic { my_node = 0; now = 0; last = 0; next = 0; my_limit = limit };
#ifndef NODE_AFTER_EXCHANGE
  my_node = node;
#endif
#endif
take:
  atomic {
    select(now : 0 .. LAST);
    last = word;
advance:
    if
    :: now < OFFSET(last) -> goto start
    :: now > OFFSET(last) && now < my_limit -> next = FIRST_OF(now)
    :: now > OFFSET(last) && now >= my_limit -> goto extend
    :: now == OFFSET(last) && SEQUENCE(last) == 0 && last != 0 && WITHIN(now) -> next = last + 1
    :: now == OFFSET(last) && SEQUENCE(last) == 0 && last != 0 && !WITHIN(now) -> goto extend
    :: now == OFFSET(last) && (SEQUENCE(last) == 1 || last == 0) -> goto start
    fi
  };
  atomic {
    if
    :: word == last -> word = next;
#ifndef NODE_AFTER_EXCHANGE
      Issue(my_node, next); goto start
#endif
    :: else -> last = word; now = MAX(now, OFFSET(last));
      if
      :: OFFSET(last) == now && SEQUENCE(last) == 1 -> goto take
      :: else -> goto advance
      fi
    fi
  };
#ifdef NODE_AFTER_EXCHANGE
  atomic { my_node = node; assert(my_node != 0 && OWN(my_node, OFFSET(next)) /* claimed */); goto start };
#endif
extend:
  atomic {
    if
    :: locked || claim_end == 0 -> goto start
    :: else -> locked = 1; my_limit = 0; my_node = 0; last = 0; next = 0; select(now : 0 .. LAST)
    fi
  };
  atomic {
    if
    :: now < limit -> locked = 0; goto start
    :: now >= limit && now >= claim_end -> locked = 0; goto start /* refused; nothing is written */
    :: else -> mark = MAX(mark, now + WINDOW)
    fi
  };
  atomic {
#ifdef LIMIT_OF_MARK_ALONE
    limit = now + WINDOW;
#else
    limit = MIN(now + WINDOW, claim_end);
#endif
    now = 0
  };
  atomic { locked = 0; goto start }
}

proctype Worker() {
  byte n, floor, end, c, o, claims;
  bit have;
  do
  /* The registry gives one, whether there still is one or not. */
  :: atomic {
      !have && claims < CLAIMS && !stopped ->
      select(n : 1 .. 2); select(c : 1 .. LAST);
      if
      :: registry_end[n] <= c && n != node ->
        claims++; floor = registry_end[n]; end = c + LENGTH; registry_end[n] = end; have = 1;
        for (o : floor .. end - 1) { OWN(n, o) = 1 }
        o = 0
      :: else -> n = 0
      fi;
      c = 0
    }
  :: atomic { have && !locked -> locked = 1 };
    claim_end = 0;
#ifdef NODE_BEFORE_FLOOR
    node = n;
#endif
#ifdef FLOOR_OF_CLAIM_ALONE
    d_step { word = MAX(word, (floor > 0 -> LAST_OF(floor - 1) : 0)) };
#else
#ifdef FLOOR_OF_WORD_ALONE
    d_step { word = MAX(LAST_OF(OFFSET(word)), (floor > 0 -> LAST_OF(floor - 1) : 0)) };
#else
    d_step { word = MAX(word, LAST_OF(MAX(mark, (floor > 0 -> floor - 1 : 0)))) };
#endif
#endif
    node = n;
    atomic { claim_end = end; locked = 0; have = 0; n = 0; floor = 0; end = 0 }
  /* The claim is extended. */
  :: atomic {
      !have && !locked && !stopped && node != 0 && claim_end != 0 && claim_end < LAST + LENGTH ->
      for (o : claim_end .. LAST + LENGTH - 1) { OWN(node, o) = 1 }
      o = 0; claim_end = LAST + LENGTH; registry_end[node] = claim_end
    }
  /* The number is refused. */
  :: atomic { !have && !stopped && claim_end != 0 -> claim_end = 0 };
    atomic { !locked -> limit = 0 }
  /* A clean stop: the number is given back while sessions go on. */
  :: atomic { !have && !locked && !stopped && claim_end != 0 -> locked = 1; end = claim_end };
#ifdef LAST_ID_GIVEN_BACK
    atomic { floor = MIN(end, OFFSET(word) + 1); claim_end = 0; locked = 0; stopped = 1 };
#else
#ifdef CLOSED_TOO_LATE
    atomic { floor = MIN(end, mark); locked = 0; stopped = 1 };
#else
    claim_end = 0;
    atomic { floor = MIN(end, mark); locked = 0; stopped = 1 };
#endif
#endif
    atomic {
      for (o : floor .. end - 1) { OWN(node, o) = 0 }
      registry_end[node] = floor; o = 0; floor = 0; end = 0
    }
  od
}

init {
  byte i;
  atomic {
    for (i : 1 .. SESSIONS) { run Session() }
    i = 0;
    run Worker()
  }
}
