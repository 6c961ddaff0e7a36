"""The body of the array script: start a server and a worker, stop them in time, requeue the task.

Slurm sends the signal of `--signal=B:` to the shell alone, and bash runs a trap only between commands or while it waits
by `wait`. So the worker runs in the background, and the shell waits for it again after each signal.
"""

TITLE = "#!/usr/bin/env bash\n# Written by `personagen launch slurm`: an array job with one task per part of a run."
"""First lines, by which a script is known as one of these."""

BODY = r"""
# sbatch FILE: fill the parts. sbatch --array=0 FILE join: write the release once they are complete.
id=${SLURM_ARRAY_JOB_ID:?run this script by sbatch}_${SLURM_ARRAY_TASK_ID:?run this script by sbatch}
if [ "${1:-fill}" = join ]; then
  command=("${join[@]}") label=join
else
  command=("${fill[@]}" "--part=$SLURM_ARRAY_TASK_ID/$tasks") label="part $SLURM_ARRAY_TASK_ID/$tasks"
  if [ -n "$work" ]; then command+=("--work=$work/part-$SLURM_ARRAY_TASK_ID-of-$tasks"); fi
fi
worker='' server='' signalled='' is_late='' code=1

note() { printf '%s: %s\n' "$label" "$1" >&2; }

stop_worker() { [ -z "$worker" ] || kill -TERM "$worker" 2>/dev/null; }

on_limit() {
  signalled=1 is_late=1
  note 'the time limit is near; the worker ships its replies'
  stop_worker
}

on_stop() {
  signalled=1
  note 'stopped by a signal; the worker ships its replies'
  stop_worker
}

answers() {  # whether the server answers a request, other than that it is not ready
  local line
  line=$({
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' >&3
    IFS= read -r -t 5 line <&3
    printf '%s' "$line"
  } 2>/dev/null)
  [[ $line =~ ^HTTP/[0-9.]+\ [24] ]]
}

start_server() {
  local log=${SLURM_JOB_NAME:-personagen}-$id.server.log waited
  # Tasks have different job ids, and so different ports, below those that systems give to clients.
  port=$((10000 + ${SLURM_JOB_ID:?run this script by sbatch} % 20000)) unproxied=${no_proxy:-${NO_PROXY:-}}
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + tasks)); done
  export no_proxy="127.0.0.1${unproxied:+,$unproxied}"
  export NO_PROXY=$no_proxy
  setsid bash -c "${server_command//\{port\}/$port}" >>"$log" 2>&1 &  # a process group: all of it can be stopped
  server=$!
  for ((waited = 0; waited < server_wait_s; waited++)); do
    if [ -n "$signalled" ]; then return 1; fi
    if ! kill -0 "$server" 2>/dev/null; then break; fi
    if answers; then return 0; fi
    sleep 1 &
    wait $!
  done
  if kill -0 "$server" 2>/dev/null; then
    note "the server does not answer on port $port after $server_wait_s s; the end of its log, $log:"
  else
    note "the server has ended before it answered; the end of its log, $log:"
  fi
  tail -n 20 "$log" >&2
  return 1
}

finish() {
  local waited
  if [ -n "$server" ]; then
    kill -TERM -- "-$server" 2>/dev/null
    for ((waited = 0; waited < 30; waited++)); do
      kill -0 -- "-$server" 2>/dev/null || break
      sleep 1
    done
    kill -KILL -- "-$server" 2>/dev/null
  fi
  if [ -n "$is_late" ] && [ -z "$worker" ]; then
    note 'not requeued: the server did not answer before the time limit was near; raise --time'
  elif [ -n "$is_late" ] && [ "$code" -ne 0 ]; then
    note 'requeued: the task continues from its journal'
    scontrol requeue "$id" || note 'scontrol refuses to requeue the task; submit the script again to continue'
  fi
  exit "$code"
}

trap on_limit USR1
trap on_stop TERM INT HUP

if [ -n "$server_command" ]; then
  start_server || finish
  command+=("--base-url=http://127.0.0.1:$port/v1")
fi
if [ -n "$signalled" ]; then finish; fi
"${command[@]}" &
worker=$!
if [ -n "$signalled" ]; then stop_worker; fi  # the signal came between the two lines above
await_worker() {  # a trap ends `wait` before the worker has ended; 127: an earlier `wait` has its exit code
  local status
  signalled=''
  wait "$worker"
  status=$?
  if [ "$status" -ne 127 ] || [ -z "$has_waited" ]; then code=$status; fi
  has_waited=1
}
has_waited=''
await_worker
while [ -n "$signalled" ]; do await_worker; done
finish
"""
"""What follows the variables `tasks`, `fill`, `join`, `work`, `server_command` and `server_wait_s`."""
