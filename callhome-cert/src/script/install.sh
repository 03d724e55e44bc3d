#!/bin/sh
# Brings this host to its Keyward control tower: @@tower@@
# @@what@@
# `sh FILE --help` tells what it does.

say() { printf '%s\n' "$*"; }

fail() {
    printf 'keyward: %s\n' "$*" >&2
    exit 1
}

usage() {
    cat << 'KEYWARD_END'
usage: sh FILE [--dry-run] [--agent PATH] [--state-dir DIR] [--host-id-file FILE]

Writes the call-home package (where the tower is, how to know it, and, if the tower asks for one, a
certificate that is valid for a short time) into the state directory, and has the edge agent call home with it. It is run by root,
or by the user whose directory --state-dir names. Running it again is harmless: a host that has an identity keeps it.

  --dry-run            say what would be done, or why it cannot be, and do nothing
  --agent PATH         the edge agent; by default `edge-agent`, as found in the PATH
  --state-dir DIR      where the agent keeps its state; by default /var/lib/keyward
  --host-id-file FILE  the host-id to call home with; by default the id of the machine
KEYWARD_END
}

# Whether a directory can be written, or made.
can_write() {
    place=$1
    while [ ! -e "$place" ]; do place=$(dirname "$place"); done
    [ -d "$place" ] && [ -w "$place" ] && [ -x "$place" ]
}

# Fails where somebody else could put something in the place of what is written: often it is root who runs this.
must_be_own() {
    [ ! -h "$1" ] || fail "$1 is a symbolic link: name the directory that it leads to with --state-dir"
    owner_and_mode "$1"
    [ "$owner" = "$(id -u)" ] || of_another "$1"
    case $mode in
    ????????w[tT]*) fail "everybody may write in $1: name a directory of your own with --state-dir, such as $1/keyward" ;;
    ????????w*) fail "everybody may write in $1: name a directory of your own with --state-dir" ;;
    ?????w*) [ "$group" = "$(id -g)" ] || fail "another group may write in $1: name a directory of your own with --state-dir" ;;
    esac
}

# The same for those above, which may be root's: whoever may rename one puts another one in its place, but not in a sticky one.
must_be_below_own() {
    above=$(cd -P "$1" && pwd -P)
    while :; do
        owner_and_mode "$above"
        [ "$owner" = 0 ] || [ "$owner" = "$(id -u)" ] || of_another "$above"
        case $mode in
        ?????????[tT]*) ;;
        ????????w*) of_others everybody o-w ;;
        ?????w*) [ "$group" = "$(id -g)" ] || of_others "another group" g-w ;;
        esac
        [ "$above" != / ] || break
        above=$(dirname "$above")
    done
}

of_others() {
    fail "$1 may replace what is in $above: run chmod $2 $above, or name another directory with --state-dir"
}

of_another() {
    fail "$1 belongs to another user than $(id -un): run this as that user, or name a directory of your own with --state-dir"
}

owner_and_mode() {
    read -r mode _ owner group _ << KEYWARD_END
$(ls -ldn "$1")
KEYWARD_END
}

write_package() {
    mkdir -p "$state"
    must_be_own "$state"
    mkdir -p "$package"
    must_be_own "$package"
    chmod 700 "$state" "$package"
    printf '%s\n' '@@tower@@' > "$package/tower-url"
    cat > "$package/ca.pem" << 'KEYWARD_END'
@@ca@@
KEYWARD_END
    @@certificate@@
    @@key@@
}

main() {
    set -eu
    umask 077
    state=/var/lib/keyward
    agent=
    host_id_file=
    dry_run=
    while [ "$#" -gt 0 ]; do
        case $1 in
        --dry-run) dry_run=1 ;;
        --agent | --state-dir | --host-id-file)
            [ -n "${2-}" ] || fail "$1 needs a value"
            case $1 in
            --agent) agent=$2 ;;
            --state-dir) state=$2 ;;
            *) host_id_file=$2 ;;
            esac
            shift
            ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) fail "unknown option: $1 (see --help)" ;;
        esac
        shift
    done
    [ -n "$agent" ] || agent=$(command -v edge-agent) ||
        fail "edge-agent is not installed: install it, or name it with --agent"
    [ -x "$agent" ] || fail "$agent cannot be run"
    # With a slash at its end, or a slash and a dot, a link is the directory that it leads to.
    while :; do
        case $state in
        */) state=${state%/} ;;
        */.) state=${state%.} ;;
        *) break ;;
        esac
    done
    case $state in
    /*) ;;
    *) fail "--state-dir must be an absolute path" ;;
    esac
    package=$state/call-home
    can_write "$state" || [ -d "$place" ] || fail "$place is not a directory: name another one with --state-dir"
    can_write "$state" ||
        fail "the user $(id -un) may not write in $place: run this as root, as with sudo, or name another directory with --state-dir"
    for directory in "$state" "$package"; do
        if [ -e "$directory" ] || [ -h "$directory" ]; then must_be_own "$directory"; fi
    done
    must_be_below_own "$place"
    set -- call-home --until registered --state-dir "$state"
    if [ -n "$host_id_file" ]; then
        { [ -r "$host_id_file" ] && [ ! -d "$host_id_file" ]; } || fail "$host_id_file cannot be read"
        set -- "$@" --host-id-file "$host_id_file"
    fi

    if [ -n "$dry_run" ]; then
        say "Would write the call-home package to $package"
        say "and run: $agent $*"
        exit 0
    fi
    write_package
    "$agent" "$@"
    rm -f "$package/key.pem"
    # The unit is for the usual directory.
    if [ "$state" = /var/lib/keyward ] && [ -d /run/systemd/system ] &&
        systemctl cat keyward-edge-agent.service > /dev/null 2>&1; then
        systemctl enable --now keyward-edge-agent.service
    else
        say "The agent has to keep running: $agent run --state-dir $state"
    fi
}

{ main "$@"; }
