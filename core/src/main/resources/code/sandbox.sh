# First process of a new process, mount, network and IPC namespace: makes a root that holds a system to read and an
# empty folder to write, gives up every right, and runs the command there. When the command ends or this is killed,
# the kernel ends all that the command left behind.
#
# $1 empty folder to become the root   $2 size of /.candidate   $3 user to become; 0: stay, in a user namespace
# $4 seconds to live, should the parent die first   then: paths to show   --   command
set -eu
root=$1 size=$2 user=$3 seconds=$4
shift 4
PATH=/usr/sbin:/usr/bin:/sbin:/bin

mount -t tmpfs -o mode=0755,size=1m,nr_inodes=4096 tmpfs "$root"
cd "$root"

show() {
  [ -e "$1" ] || return 0
  if [ -L "$1" ]; then
    mkdir -p ".${1%/*}"
    cp -P "$1" ".$1"
    return 0
  fi
  if [ -d "$1" ]; then
    mkdir -p ".$1"
  else
    mkdir -p ".${1%/*}"
    : >".$1"
  fi
  mount --rbind "$1" "$root$1"
}

for path in /usr /bin /sbin /lib /lib32 /lib64 /etc/ld.so.cache /etc/alternatives /etc/java-*-openjdk \
  /dev/null /dev/zero /dev/random /dev/urandom; do
  show "$path"
done
while [ "$1" != -- ]; do
  show "$1"
  shift
done
shift

# What was mounted below a path came along: each of them becomes read-only, the devices aside.
mounts=$(cat /proc/self/mountinfo)
printf '%s\n' "$mounts" | while read -r _ _ _ _ mounted _; do
  case $mounted in
  "$root"/dev/*) ;;
  "$root"/*) mount -o remount,bind,ro "$mounted" ;;
  esac
done

mkdir proc .candidate .old
mount -t proc -o nosuid,nodev,noexec proc proc
if [ "$user" = 0 ]; then
  mount -t tmpfs -o "nosuid,nodev,mode=0700,size=$size,nr_inodes=4096" tmpfs .candidate
  echo 0 >/proc/sys/user/max_user_namespaces
  become=
else
  mount -t tmpfs -o "nosuid,nodev,mode=0700,size=$size,nr_inodes=4096,uid=$user,gid=$user" tmpfs .candidate
  become="--reuid=$user --regid=$user --clear-groups"
fi
pivot_root . .old
cd /.candidate
umount -l /.old
rmdir /.old
mount -o remount,bind,ro /

timeout --signal=KILL "$seconds" setpriv --no-new-privs --bounding-set=-all --inh-caps=-all $become "$@"
exit $?
