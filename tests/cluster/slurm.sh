#!/usr/bin/env bash
# A real SLURM on this machine alone, for the tests: controller, accounting on MariaDB, and two node daemons with two
# stand-in GPUs each (device files: scheduled and accounted like GPUs, nothing computes on them).
#
#   tests/cluster/slurm.sh start     prints nothing but errors
#   tests/cluster/slurm.sh stop
#   tests/cluster/slurm.sh missing   lists the Debian packages that are not installed, and fails if there are any
#
# Everything lies in one folder ($TDRO_SLURM, by default tdro-slurm among the temporary files) and listens on the loopback
# interface; a MariaDB and a munge of the machine's own are left alone. Only /etc/slurm/slurm.conf becomes a link into the
# folder while the cluster runs, as Snakemake's plugin hides the variable SLURM_CONF from its jobs; where that file is
# already somebody's, nothing is started.
set -euo pipefail
PACKAGES="slurmctld slurmd slurm-client slurmdbd munge mariadb-server"
home=${TDRO_SLURM:-${TMPDIR:-/tmp}/tdro-slurm}
host=$(hostname -s)
user=$(id -un)
installed=/etc/slurm/slurm.conf
export PATH=$PATH:/usr/sbin SLURM_CONF=$home/slurm.conf

missing() {
  local package absent=()
  for package in $PACKAGES; do
    dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || absent+=("$package")
  done
  ((${#absent[@]} == 0)) || { echo "${absent[@]}"; return 1; }
}

# Waits until a command succeeds. Ten minutes are not for a slow machine but for a daemon that has failed.
until_true() {
  local end=$((SECONDS + 600))
  while ((SECONDS < end)); do
    "$@" >/dev/null 2>&1 && return
    sleep 0.5
  done
  echo "slurm.sh: not ready after ten minutes: $*; logs are in $home/log" >&2
  return 1
}

alive() { [[ -s $1 ]] && kill -0 "$(<"$1")" 2>/dev/null; }

database() { mariadb --no-defaults --socket="$home/db.sock" "$@"; }

write_configuration() {
  cat >"$home/slurm.conf" <<CONF
ClusterName=tdrotest
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
# A job that goes back to the queue may start again once its last credential has expired (by default two minutes).
AuthInfo=socket=$home/munge.sock,cred_expire=5
CredType=cred/munge
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool.%n
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.%n.pid
SlurmctldLogFile=$home/log/slurmctld.log
SlurmdLogFile=$home/log/slurmd.%n.log
# What a process belongs to is read from /proc: no control groups are needed.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=5
MpiDefault=none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort=26819
AccountingStoragePass=$home/munge.sock
AccountingStorageTRES=gres/gpu
AccountingStoreFlags=job_comment
# The nodes claim more than the machine has, so that the tests see queueing by GPUs alone.
SlurmdParameters=config_overrides
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
KillWait=5
NodeName=tdro1 NodeHostname=$host NodeAddr=127.0.0.1 Port=26821 CPUs=8 RealMemory=64000 Gres=gpu:2
NodeName=tdro2 NodeHostname=$host NodeAddr=127.0.0.1 Port=26822 CPUs=8 RealMemory=64000 Gres=gpu:2
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE PriorityTier=10
CONF
  cat >"$home/gres.conf" <<CONF
NodeName=tdro[1-2] Name=gpu File=/dev/null
NodeName=tdro[1-2] Name=gpu File=/dev/zero
CONF
  cat >"$home/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$home/munge.sock
DbdHost=localhost
DbdPort=26819
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=26806
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_accounting
LogFile=$home/log/slurmdbd.log
PidFile=$home/slurmdbd.pid
CONF
  chmod 600 "$home/slurmdbd.conf"
  mkdir -p "${installed%/*}"
  ln -sfn "$home/slurm.conf" "$installed"
}

start_munge() {
  [[ -s $home/munge.key ]] || (umask 077 && head -c 1024 /dev/urandom >"$home/munge.key")
  alive "$home/munge.pid" || munged --force --num-threads=10 --key-file="$home/munge.key" --socket="$home/munge.sock" \
    --pid-file="$home/munge.pid" --log-file="$home/log/munged.log" --seed-file="$home/munge.seed" 2>"$home/log/munged.err"
}

start_database() {
  [[ -d $home/db/mysql ]] || mariadb-install-db --no-defaults --user="$user" --datadir="$home/db" \
    --auth-root-authentication-method=socket --skip-test-db >"$home/log/install-db.log" 2>&1
  alive "$home/db.pid" || setsid mariadbd --no-defaults --user="$user" --datadir="$home/db" --socket="$home/db.sock" \
    --pid-file="$home/db.pid" --bind-address=127.0.0.1 --port=26806 --skip-name-resolve \
    >"$home/log/mariadbd.log" 2>&1 </dev/null &
  until_true database -e "select 1"
  database -e "create user if not exists slurm@'127.0.0.1' identified by 'slurm';
    grant all on slurm_accounting.* to slurm@'127.0.0.1'"
}

start_accounting() {
  alive "$home/slurmdbd.pid" || SLURM_CONF=$home/slurm.conf slurmdbd
  until_true sacctmgr --noheader list cluster
  # Each fails when it is there already.
  sacctmgr --immediate add cluster tdrotest >/dev/null 2>&1 || true
  sacctmgr --immediate add account research >/dev/null 2>&1 || true
  sacctmgr --immediate add user "$user" account=research >/dev/null 2>&1 || true
}

start() {
  local absent node
  absent=$(missing) || { echo "slurm.sh: missing packages; run: apt-get install $absent" >&2; exit 1; }
  if [[ -e $installed && ! $installed -ef $home/slurm.conf ]]; then
    echo "slurm.sh: $installed is another cluster's; the tests need a machine without one" >&2
    exit 1
  fi
  mkdir -p "$home"/{log,state,spool.tdro1,spool.tdro2,db}
  chmod 755 "$home"
  write_configuration
  start_munge
  start_database
  start_accounting
  alive "$home/slurmctld.pid" || slurmctld
  for node in tdro1 tdro2; do
    # Jobs inherit the low priority of the node daemon.
    alive "$home/slurmd.$node.pid" || slurmd -N "$node" -n 10
  done
  until_true nodes_idle
}

nodes_idle() { [[ $(sinfo --noheader --Node --format=%T --partition=gpu | sort -u) == idle ]]; }

# Ends what `start` started, by the process ids it wrote down, in the reverse order.
stop() {
  local name
  [[ -e $home/slurm.conf ]] && scancel --user="$user" >/dev/null 2>&1 || true
  for name in slurmd.tdro2 slurmd.tdro1 slurmctld slurmdbd db munge; do
    if alive "$home/$name.pid"; then
      kill "$(<"$home/$name.pid")"
      until_true gone "$home/$name.pid"
    fi
  done
  [[ $(readlink "$installed") != "$home/slurm.conf" ]] || rm "$installed"
  rm -rf "$home"
}

gone() { ! alive "$1"; }

case ${1:-} in
  start | stop | missing) "$1" ;;
  *) sed -n '2,/^set/{/^set/!s/^# \{0,1\}//p}' "$0"; exit 2 ;;
esac
