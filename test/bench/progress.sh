# shellcheck shell=bash
# Sourced by bench.sh: runs the stages, each item of each once a round, and says
# how far that is.

# About how long a step takes, in ms, before anything is known of the machine.
guess() {
  local run=$((seconds * 1000 + 300))
  [ "$seconds" != 0 ] || run=$((quick_ids / 200 + 200))
  case $1 in
    calls) echo $((scan_rows * 6 / 10000 + 80)) ;;
    sessions | layouts) echo "$run" ;;
    commits) if [ "$seconds" = 0 ]; then echo 400; else echo "$run"; fi ;;
    latency) echo $((timed_calls / 10 + 150)) ;;
    core) if [ "$quick" = 1 ]; then echo 12000; else echo 180000; fi ;;
    bulk) echo $((bulk_rows * 35 / 10000 + 300)) ;;
    copy) echo $((bulk_rows * 30 / 10000 + 300)) ;;
    fill) echo $((grown_rows * 60 / 10000 + 200)) ;;
    ranges) echo $((grown_rows / 100000 + 100)) ;;
    lookups) echo $((lookups / 200 + 100)) ;;
    more) echo $((more_rows * 60 / 10000 + 300)) ;;
  esac
}
rounds_of() { case $1 in fill | core) echo 1 ;; *) echo "$rounds" ;; esac; }

# What the others need comes with them.
add_needed() {
  local stage wanted=" $STAGES "
  [[ ! $wanted =~ \ (ranges|lookups|commits|more)\  ]] || wanted+='fill '
  stages=()
  for stage in "${all_stages[@]}"; do [[ $wanted != *" $stage "* ]] || stages+=("$stage"); done
}

planned=0 done_ms=0 last_said=-99
plan() {
  local stage count
  for stage in "${stages[@]}"; do
    count=$("items_$stage" | wc -l)
    planned=$((planned + $(guess "$stage") * count * $(rounds_of "$stage")))
    told stage "$stage" "$count"
  done
}

# progress TEXT: every second on a terminal, else every ten. The guesses are held
# against the time that they took so far.
progress() {
  local passed=$((SECONDS - started)) left
  [ $((SECONDS - last_said)) -ge "$([ -t 2 ] && echo 1 || echo 10)" ] || return 0
  last_said=$SECONDS
  left=$(((planned - done_ms) / 1000 * (passed * 1000 + 10000) / (done_ms + 10000)))
  printf '%3d %%, about %d:%02d left: %s\n' $((done_ms * 100 / (planned + 1))) $((left / 60)) $((left % 60)) "$1" >&2
}

# attempt WHAT COMMAND...: an error is told in the report, and the run goes on
# with the rest. With Timeshard itself, or in a set-up, it is a failure.
attempt() {
  local what=$1 why
  shift
  : >"$work/err"
  not_recorded=
  if "$@" && [ -z "$not_recorded" ]; then return; fi
  why=$(grep -m 1 -E 'ERROR|FATAL|error|fatal' "$work/err" || tail -n 1 "$work/err")
  say "failed: $what: $why"
  told failed "$what" "$why"
  ! grep -q 'division by zero' "$work/err" || told broken P3 "an ID was ahead of the clock: $what"
  case $what in *timeshard* | *honest* | *set-up* | layouts* | core*) failed=1 ;; esac
}

run_stages() {
  local stage round item items count step stage_started
  add_needed
  plan
  started=$SECONDS
  for stage in "${stages[@]}"; do
    now="in stage $stage"
    stage_started=$SECONDS
    progress "$stage"
    ! declare -F "setup_$stage" >/dev/null || attempt "$stage, set-up" "setup_$stage"
    count=$(rounds_of "$stage")
    step=$(guess "$stage")
    for ((round = 1; round <= count; round++)); do
      mapfile -t items < <("items_$stage" | if ((round % 2)); then cat; else tac; fi)
      for item in "${items[@]}"; do
        now="in stage $stage, round $round of $count"
        progress "$stage, round $round of $count: $item"
        # shellcheck disable=SC2086 # an item's words
        attempt "$stage $item, round $round" "measure_$stage" "$round" $item
        done_ms=$((done_ms + step))
      done
    done
    ! declare -F "teardown_$stage" >/dev/null || "teardown_$stage"
    told took "$stage" $((SECONDS - stage_started))
  done
}
