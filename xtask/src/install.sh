# Installs the Debian packages named as arguments. Runs as root; every prompt is off.
# No packaged service is left running: policy-rc.d forbids the start while we install, and what
# systemd would start at the next boot is disabled, for the packages installed here only.
set -u
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
made=no
undo() { if [ "$made" = yes ]; then rm -f "$policy"; fi; }
trap undo EXIT
trap 'exit 130' INT TERM HUP

if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy" && made=yes
fi

install() { apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=120 "$@"; }
update() { apt-get update -q -o DPkg::Lock::Timeout=120; }

if ls /var/lib/apt/lists/*_Packages* > /dev/null 2>&1; then
    # The lists may be too old to install from; only then are they fetched anew.
    install "$@" || { update && install "$@"; } || exit
else
    update && install "$@" || exit
fi

if [ -d /run/systemd/system ]; then
    for package in "$@"; do
        for unit in $(dpkg -L "$package" | sed -n 's,^.*/systemd/system/\([^@/]*\.service\)$,\1,p'); do
            systemctl disable --now "$unit" > /dev/null 2>&1 || true
        done
    done
fi
exit 0
