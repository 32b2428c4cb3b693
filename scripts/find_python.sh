#!/bin/sh
# Print a Python that is new enough and can make virtual environments.
# python3.11 comes first because the pinned packages were tested together on it.
set -u

new_enough='import sys; sys.exit(sys.version_info < (3, 11))'
can_make_venv='import venv, ensurepip'
without_venv=''
too_old=''

if [ -n "${PYTHON:-}" ]; then
    set -- "$PYTHON"
else
    set -- python3.11 python3.12 python3.13 python3 python
fi

for name in "$@"; do
    if ! version=$("$name" -c 'import platform; print(platform.python_version())' 2>/dev/null); then
        continue
    elif ! "$name" -c "$new_enough" 2>/dev/null; then
        too_old=${too_old:-$version}
    elif ! "$name" -c "$can_make_venv" 2>/dev/null; then
        without_venv=${without_venv:-$name}
    else
        echo "$name"
        exit 0
    fi
done

if [ -n "$without_venv" ]; then
    echo "$without_venv cannot make virtual environments; install its venv package (on Debian and Ubuntu: apt install python3-venv)." >&2
elif [ -n "$too_old" ]; then
    echo "Python 3.11 or newer is needed, but only $too_old was found; install a newer one or name it: make run PYTHON=/path/to/python3.11" >&2
else
    echo "Python 3.11 or newer is needed, but none was found; install it or name it: make run PYTHON=/path/to/python3.11" >&2
fi
exit 2
