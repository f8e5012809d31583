#!/bin/sh
# Checks the protocols of the .pml files beside it by spin: the sound models must
# hold in every state, and each way to break one must be caught by the assertion
# of the promise that it breaks.
#
#   usage: run.sh [FOLDER]   builds there and leaves it; without, in a temporary folder
#
# One line for each: states, seconds, verdict. Exit: 0 all as it should be.
set -eu
models=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)

for tool in spin cc; do
  command -v "$tool" >/dev/null || { echo "run.sh: $tool is not installed" >&2; exit 2; }
done

background=
clean_up() {
  status=$?
  trap - EXIT INT TERM HUP
  [ -z "$background" ] || kill "$background" 2>/dev/null || :
  [ -z "$temporary" ] || rm -rf "$temporary"
  exit "$status"
}
temporary=
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [ $# -gt 0 ]; then
  mkdir -p "$1"
  work=$(CDPATH= cd -- "$1" && pwd)
else
  temporary=$(mktemp -d "${TMPDIR:-/tmp}/timeshard-model.XXXXXX")
  work=$temporary
fi

# build NAME MACRO...: the verifier of $model in a folder of its own. Spin's
# reduction of orders does not go with priorities between processes, and gains
# little without, so it is off. Compiling takes longer than the small searches,
# so only the large ones are optimised.
model=generator
optimise=-O0
build() {
  dir=$work/$1
  shift
  rm -rf "$dir"
  mkdir -p "$dir"
  cp "$models/$model.pml" "$dir"
  (cd "$dir" && spin -a "$@" "$model.pml" >spin.out 2>&1 &&
    cc -w $optimise -DSAFETY -DNOREDUCE -DMEMLIM=1800 -o pan pan.c >cc.out 2>&1) || {
    cat "$dir"/*.out >&2
    echo "run.sh: no verifier in $dir" >&2
    return 1
  }
}

# The exit status of pan tells nothing: its output is judged.
search() { cd "$1" && exec ./pan -m200000 >pan.out 2>&1; }

states() { sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' "$work/$1/pan.out"; }
seconds() { sed -n 's/^pan: elapsed time \([0-9.]*\) seconds/\1/p' "$work/$1/pan.out"; }
line() { printf '%-28s %9s states %6s s  %s\n' "$1" "$(states "$1")" "$(seconds "$1")" "$2"; }

failures=0

# judge_sound NAME: no error, and the search is complete.
judge_sound() {
  out=$work/$1/pan.out
  if grep -q 'errors: 0$' "$out" && grep -q '^Full statespace search' "$out" && grep -q '^pan: elapsed' "$out" &&
    ! grep -Eiq 'too small|not completed|out of memory|interrupted|truncated|hash conflict.*error' "$out"; then
    line "$1" holds
  else
    failures=$((failures + 1))
    line "$1" 'DOES NOT HOLD, or the search is not complete'
    grep -E 'violated|too small|not completed|memory|errors:' "$out" || :
  fi
}

# Every statement of the sound model is there to be taken.
judge_reached() {
  unreached=$(sed -n '/^unreached in/,$p' "$work/$1/pan.out" | grep 'state [0-9]' | grep -v -e '"-end-"' || :)
  if [ -n "$unreached" ]; then
    failures=$((failures + 1))
    printf '%s: statements that no search has reached\n%s\n' "$1" "$unreached"
  fi
}

broken=0
caught=0

# broken PROMISE NAME MACRO...: must violate that promise's assertion.
broken() {
  promise=$1
  name=$2
  shift 2
  broken=$((broken + 1))
  case $promise in
  id) text='(issued|before_)' says='an ID repeats or is out of order' ;;
  mark) text='last_.*!=0' says='the mark is lost' ;;
  alarm) text='now_.*>=.*last_' says='a false alarm' ;;
  time) text='<=clock' says='an ID from the future' ;;
  row) text='cursor' says='a row is missed' ;;
  snapshot) text='visible.*seen' says='a row is missed' ;;
  back) text='answer>=before' says='an answer goes backwards' ;;
  alone) text='issued' says='two servers use one offset of one number' ;;
  stop) text='latest_floor' says='a server is told to stop that holds its claim alone' ;;
  claim) text='(own|top)' says='an ID of what is not claimed, or out of order' ;;
  esac
  build "$name" -D"$name" "$@"
  (search "$work/$name") || :
  if grep -Eq "assertion violated.*$text" "$work/$name/pan.out"; then
    caught=$((caught + 1))
    line "$name" "fails: $says"
  else
    failures=$((failures + 1))
    line "$name" "NOT CAUGHT"
    grep -E 'violated|too small|memory|errors:' "$work/$name/pan.out" || :
  fi
}

# Two processors: the large searches go on beside the small ones.
optimise=-O2
build sound
model=horizon
build horizon -DWRITERS=2 -DLAST_MS=1
model=generator
optimise=-O0
(
  search=
  trap '[ -z "$search" ] || kill "$search" 2>/dev/null || :; exit 143' TERM
  for name in sound horizon; do
    (search "$work/$name") &
    search=$!
    wait "$search" || :
  done
) &
background=$!

# A smaller sound model, whole. The literal ones show that it is not LITERAL
# that the broken variants fail by.
sound() {
  build "$@"
  (search "$work/$1") || :
  judge_sound "$1"
}
sound sound-literal -DLITERAL -DSESSIONS=1
sound sound-two-sessions-literal -DLITERAL -DSESSIONS=2 -DLAST_OFFSET=2
sound healthy-clock -DHEALTHY_CLOCK -DLAST_OFFSET=2

# The state word.
broken id SEQUENCE_RESET_FIRST -DLITERAL
broken id LOST_RACE_WITHOUT_RECHECK -DLITERAL
broken id LOST_EXCHANGE_COUNTS -DLITERAL
broken alarm CLOCK_READ_ONCE -DHEALTHY_CLOCK
broken alarm LOST_RACE_IS_A_STEP -DHEALTHY_CLOCK
broken time BORROWED_FUTURE -DHEALTHY_CLOCK
# The reservation.
broken id ISSUE_PAST_RESERVATION -DLITERAL
broken id PUBLISH_BEFORE_SYNC -DLITERAL -DSESSIONS=2
broken id NO_SYNC -DLITERAL -DSESSIONS=1
broken id RETRIED_SYNC -DLITERAL -DSESSIONS=1
broken id END_CAN_FALL -DLITERAL -DSESSIONS=2
# The mark and recovery from it.
broken id OVERWRITE_SYNCED_SLOT -DLITERAL -DSESSIONS=1
broken id ADVANCE_BEFORE_SUCCESS -DLITERAL -DSESSIONS=1
broken id TRUST_WHAT_IS_READ -DLITERAL -DSESSIONS=1
broken id SYNC_WITHOUT_REWRITE -DLITERAL -DSESSIONS=1
broken mark COPY_BEFORE_SYNC
broken id FLOOR_NOT_NEXT -DLITERAL -DSESSIONS=1
broken id RAISE_BY_STORE -DLITERAL -DSESSIONS=1

# The horizon. First its smaller sound models: one backend with later
# milliseconds, two prepared transactions, a worker, and consumers.
model=horizon
one='-DLITERAL -DWRITERS=1'
sound horizon-prepared -DWRITERS=1 -DDUMMIES=2 -DLAST_XID=3
sound horizon-aliased -DWRITERS=1 -DDUMMIES=2 -DLAST_XID=3 -DALIASED_XIDS
sound horizon-worker -DWRITERS=1 -DWORKERS=1
sound horizon-literal $one
sound horizon-two-readers-literal $one -DREADERS=2 -DLAST_MS=1

# The slot.
broken row PUBLISH_AFTER_EXCHANGE $one
broken row POSITION_FROM_CLOCK $one
broken row WORKER_OWN_SLOT $one -DWORKERS=1
broken row RAISED_BESIDE_A_WORKER $one -DWORKERS=1
broken row RAISED_BY_WHO_HAS_NOT_PUBLISHED $one -DWORKERS=1
broken row RAISED_PAST_THE_FIRST $one
# The copy for a prepared transaction.
broken row NO_COPY $one
broken row COPY_AFTER_OVERWRITE $one
broken row COPY_RAISES $one
broken row COPY_WITHOUT_LOCK -DLITERAL -DLAST_MS=1
# The reader.
broken row SLOTS_BEFORE_OWN_ID $one
broken row DUMMIES_BEFORE_LIVE $one
broken row TABLE_BEFORE_SLOTS $one
broken row TABLE_OR_SLOT $one
broken row ENDED_WITH_ITS_OWNER $one
# The answer, and the consumer.
broken row ROUND_UP $one
broken back NO_MAXIMUM $one
broken back MAXIMUM_BY_STORE $one -DREADERS=2
broken snapshot SNAPSHOT_BEFORE_QUESTION $one

# Claimed node IDs, with the most servers, numbers and losses that fit. A rollback must be told.
model=claims
optimise=-O2
lost='-DTIMED -DLOSSES=1'
sound claims-numbers -DSERVERS=3 -DNUMBERS=2 -DLAST=1
sound claims-clones -DSERVERS=3 -DCLONES=1 -DLAST=1
sound claims-loss $lost -DLAST=3
sound claims-loss-skew $lost -DSKEW=1 -DMARGIN=2 -DLAST=2
sound claims-loss-clones $lost -DCLONES=1 -DLAST=1
sound claims-losses -DTIMED -DLOSSES=2 -DLAST=2
sound claims-told $lost -DROLLBACK -DTOLD

optimise=-O0
broken alone NO_PROOF
broken alone FLOOR_BY_CLOCK
broken alone NOT_CLOSED
broken stop TAG_FORGOTTEN
broken alone REPEATED_EXTENDS -DCLONES=1
broken alone TAG_KEPT -DCLONES=1
# Its memory lost.
broken alone GRACE_WITHOUT_PROOF $lost
broken alone NO_REST $lost
broken alone NO_DETECTION $lost
broken alone BELIEVE_EXPIRED $lost
optimise=-O2
broken alone RESTS_SHORTEST $lost -DLAST=3
broken alone FREE_BY_CLOCK $lost -DLAST=3
broken alone SMALL_MARGIN $lost -DSKEW=1 -DMARGIN=1
optimise=-O0
# What no protocol helps against, and the manual states.
broken alone ROLLBACK $lost
broken alone TWO_REGISTRIES $lost
broken alone CLONES_ALONE -DCLONES=1
broken alone CLONES_END -DCLONES=1 -DSERVERS=3

# And the switch in a server.
model=switch
optimise=-O2
sound switch -DCLAIMS=2
optimise=-O0
broken claim NODE_BEFORE_LIMIT
broken claim NODE_AFTER_EXCHANGE
broken claim NODE_BEFORE_FLOOR
broken claim LIMIT_FOR_NEW_MILLISECONDS
broken claim LIMIT_OF_MARK_ALONE
broken claim FLOOR_OF_CLAIM_ALONE
broken claim FLOOR_OF_WORD_ALONE
broken claim LAST_ID_GIVEN_BACK
broken claim CLOSED_TOO_LATE

wait "$background" || :
background=
for name in sound horizon; do
  judge_sound "$name"
  judge_reached "$name"
done

if [ "$failures" -gt 0 ]; then
  echo "model: NOT as it should be ($failures); $caught of $broken broken variants fail"
  exit 1
fi
echo "model: sound variants hold ($(states sound) and $(states horizon) states); $caught of $broken broken variants fail"
