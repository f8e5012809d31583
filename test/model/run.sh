#!/bin/sh
# Checks the protocol of generator.pml by spin: the sound model must hold in
# every state, and each way to break it must be caught by the assertion of the
# promise that it breaks.
#
#   usage: run.sh [FOLDER]   builds there and leaves it; without, in a temporary folder
#
# One line for each: states, seconds, verdict. Exit: 0 all as it should be.
set -eu
model=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/generator.pml

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

# build NAME MACRO...: the verifier in a folder of its own. Spin's reduction of
# orders does not go with priorities between processes, so it is off. Compiling
# takes longer than the small searches, so only the large one is optimised.
optimise=-O0
build() {
  dir=$work/$1
  shift
  rm -rf "$dir"
  mkdir -p "$dir"
  cp "$model" "$dir"
  (cd "$dir" && spin -a "$@" generator.pml >spin.out 2>&1 &&
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

# Two processors: the large search goes on beside the small ones.
optimise=-O2
build sound
optimise=-O0
(search "$work/sound") &
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
broken alarm CLOCK_BEFORE_STATE -DHEALTHY_CLOCK
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

wait "$background" || :
background=
judge_sound sound
judge_reached sound

if [ "$failures" -gt 0 ]; then
  echo "model: NOT as it should be ($failures); $caught of $broken broken variants fail"
  exit 1
fi
echo "model: sound variant holds ($(states sound) states); $caught of $broken broken variants fail"
