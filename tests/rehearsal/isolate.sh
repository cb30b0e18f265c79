# Lambda's file system for one function, in a mount namespace of its own: `unshare --mount bash isolate.sh COMMAND…`.
# Environment: TASK, LAYER, LANGUAGE, RUNTIME (folders), SITE_PACKAGES (relative to LANGUAGE), CGROUP_PROCS (files).
set -euo pipefail

for file in ${CGROUP_PROCS:-}; do
    echo $$ >"$file"
done

mount --make-rprivate /
# The folders may lie where a mount will hide them (/tmp, /var, /opt): bind them first, move them then.
mount -t tmpfs -o size=1m none /mnt
mkdir /mnt/task /mnt/layer /mnt/language /mnt/runtime
mount --bind "$TASK" /mnt/task
mount --bind "$LAYER" /mnt/layer
mount --bind "$LANGUAGE" /mnt/language
mount --bind "$RUNTIME" /mnt/runtime

mount -t tmpfs -o size=1m none /var
mount -t tmpfs -o size=1m none /opt
mount -t tmpfs -o size=512m,mode=1777 none /tmp
mkdir /var/task /var/lang /var/runtime
mount --move /mnt/task /var/task
mount --move /mnt/layer /opt
mount --move /mnt/language /var/lang
mount --move /mnt/runtime /var/runtime
for path in /var/task /opt /var/lang /var/runtime; do
    mount -o remount,bind,ro "$path"
done
# What this machine's Python has installed is not in Lambda.
mount -t tmpfs -o size=1m,ro none "/var/lang/$SITE_PACKAGES"
mount -o remount,ro /var
# Lambda has no shared memory.
while mountpoint -q /dev/shm; do umount -l /dev/shm; done
umount -l /mnt
mount -o remount,bind,ro /

cd /var/task
exec setpriv --reuid=993 --regid=990 --clear-groups --no-new-privs env -i "$@"
