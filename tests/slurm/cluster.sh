#!/usr/bin/env bash
# A Slurm cluster on this machine alone, for tests: real daemons, on 127.0.0.1, with everything in one folder. It lives until
# standard input ends, so that it cannot outlive the test that started it.
#
#   cluster.sh DIR PORT NODES    prints `ready`, and stops when its standard input is closed
#   cluster.sh lose DIR NODE     kills a node as a power cut would: its daemon, and the keeper of each of its jobs
#
# DIR must be short (a Unix socket lies in it) and made of letters, digits and / . _ - only. PORT is the first of 1 + NODES
# ports. Clients find the cluster through SLURM_CONF=DIR/slurm.conf. Nodes are n1, n2, …, with four CPUs and two GPUs that are
# no devices. Exit status 1: it did not start; DIR/log says why.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin" LC_ALL=C

fail() { echo "cluster.sh: $*" >&2; exit 1; }

configure() {
    mkdir -p "$dir"/run "$dir"/log "$dir"/state "$dir"/spool
    chmod 755 "$dir" "$dir/run"
    (umask 277 && head -c 1024 /dev/urandom >"$dir/munge.key")
    # The daemons keep files of GPUs open, and these must be devices whose names end in a number.
    ln -s /dev/null "$dir/run/gpu0" && ln -s /dev/null "$dir/run/gpu1"
    echo "Name=gpu File=$dir/run/gpu[0-1]" >"$dir/gres.conf"
    local me
    me=$(id -un)
    cat >"$dir/slurm.conf" <<CONF
ClusterName=lipscope
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$port
# Nothing listens outside 127.0.0.1.
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
CredType=cred/munge
# A requeued job waits until the credential of its first start has expired: two minutes if this is not said.
AuthInfo=socket=$dir/run/munge.socket,cred_expire=5
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/run/slurmctld.pid
SlurmdPidFile=$dir/run/%n.pid
MailProg=/bin/true
MpiDefault=none
# No control groups: they need systemd, or rights that a container does not have.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
GresTypes=gpu
# A node may claim CPUs that the machine lacks, and comes back by itself after it was lost.
SlurmdParameters=config_overrides
ReturnToService=2
SlurmdTimeout=10
KillWait=5
MaxArraySize=${LIPSCOPE_CLUSTER_ARRAY:-1001}
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
CONF
    for i in $(seq "$nodes"); do
        mkdir -p "$dir/spool/n$i"
        echo "NodeName=n$i NodeHostname=localhost NodeAddr=127.0.0.1 Port=$((port + i)) CPUs=4 Gres=gpu:2"
    done >>"$dir/slurm.conf"
    cat >>"$dir/slurm.conf" <<CONF
PartitionName=main Nodes=ALL Default=YES MaxTime=1-0
PartitionName=short Nodes=ALL MaxTime=10
CONF
}

# A daemon listens at the address of this machine's name. Where that is not 127.0.0.1, daemons get to see another name.
choose_name() {
    as_localhost=()
    ! getent ahostsv4 "$(uname -n)" | head -n 1 | grep -q '^127\.0\.0\.1 ' || return 0
    unshare --uts true 2>/dev/null || fail "the hosts file lacks the line '127.0.0.1 $(uname -n)'"
    as_localhost=(unshare --uts sh -c 'hostname localhost && exec "$@"' sh)
}

# Starts a daemon that stays in the foreground, so that its number is $!.
daemon() {
    local name=$1
    shift
    setsid "${as_localhost[@]}" "$@" >"$dir/log/$name.out" 2>&1 </dev/null &
    echo $! >"$dir/run/$name.number"
    # Else the shell tells of those that are killed.
    disown
}

within() { # SECONDS COMMAND…
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.1
    done
}

all_idle() { [ "$(sinfo -h -N -p main -t idle -o %N | sort -u | wc -l)" -eq "$nodes" ]; }

alive() { # a zombie has no command line
    [ -n "$({ tr -d '\0' <"/proc/$1/cmdline"; } 2>/dev/null)" ]
}

stop() {
    local file number
    scancel -u "$(id -un)" 2>/dev/null || true
    # Nodes last of all but munged: whoever is asked to end a job must still be there.
    within 10 sh -c '[ -z "$(squeue -h)" ]' || true
    for file in "$dir"/run/n*.number "$dir"/run/slurmctld.number "$dir"/run/munged.number; do
        [ -e "$file" ] || continue
        number=$(cat "$file")
        kill "$number" 2>/dev/null || continue
        for _ in $(seq 50); do alive "$number" || break; sleep 0.1; done
        ! alive "$number" || kill -9 "$number" 2>/dev/null || true
    done
}

# Kills what belongs to a node: its daemon, and the keepers of its jobs, which listen at sockets in its spool folder.
lose() {
    local inode keeper
    kill -9 "$(cat "$dir/run/$1.number")"
    for inode in $(awk -v folder="$dir/spool/$1/" 'index($8, folder) == 1 { print $7 }' /proc/net/unix); do
        for keeper in $(find /proc/[0-9]*/fd -lname "socket:\\[$inode\\]" 2>/dev/null | cut -d / -f 3 | sort -u); do
            kill -9 "$keeper"
        done
    done
}

if [ "${1:-}" = lose ]; then
    dir=$2
    lose "$3"
    exit 0
fi
dir=$1 port=$2 nodes=$3
case $dir in *[!A-Za-z0-9/._-]*) fail "a folder's name of other letters: $dir" ;; esac
export SLURM_CONF="$dir/slurm.conf"
configure
choose_name
trap stop EXIT
daemon munged munged --foreground --socket="$dir/run/munge.socket" --key-file="$dir/munge.key" \
    --pid-file="$dir/run/munged.pid" --log-file="$dir/log/munged.log" --seed-file="$dir/run/munged.seed"
within 10 munge -n -S "$dir/run/munge.socket" || fail "munged does not answer; see $dir/log"
daemon slurmctld slurmctld -D
within 20 scontrol ping || fail "slurmctld does not answer; see $dir/log"
for i in $(seq "$nodes"); do daemon "n$i" slurmd -D -N "n$i"; done
within 30 all_idle || fail "the nodes are not there; see $dir/log"
echo ready
cat >/dev/null
