# What the commands in this directory have in common: steps that say how they went, tools that are installed, and tests
# that a quick run leaves out.
# shellcheck shell=bash

log=$(mktemp)
times=$(mktemp)
trap 'rm -f "$log" "$times"' EXIT
current="start"

fail() {
    printf '\nFAILED: %s\n' "$1" >&2
    exit 1
}

# step "Heading" command arguments..: runs it quietly, and shows what it said only if it fails.
step() {
    current=$1
    shift
    local began=$SECONDS
    printf '== %s\n' "$current"
    if ! "$@" >"$log" 2>&1 </dev/null; then
        cat "$log"
        fail "$current (after $((SECONDS - began)) s)"
    fi
    printf '   ok, %d s\n' "$((SECONDS - began))"
    printf '%6d s  %s\n' "$((SECONDS - began))" "$current" >>"$times"
}

# The steps that took longest.
slowest() {
    printf '\nThe slowest steps:\n'
    sort -rn "$times" | head -n 5
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif has sudo; then
        sudo -n "$@" || sudo "$@"
    else
        echo "installing needs root, and there is no sudo: run as root, or install by hand: $*"
        return 1
    fi
}

updated=no
install() {
    if [ "$updated" = no ]; then
        as_root apt-get update || return
        updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

# need "what it is" command package..: the packages are Debian's and Ubuntu's.
need() {
    local what=$1 command=$2
    shift 2
    if has "$command"; then
        return
    fi
    if ! has apt-get; then
        echo "$what is missing: install it so that \`$command\` is found. (On Debian and Ubuntu this script installs: $*)"
        return 1
    fi
    install "$@" || return
    has "$command" || { echo "$what: the packages $* are installed, but \`$command\` is not found"; return 1; }
}

# Parts of the names of the tests that start a server, a browser or an example that cargo has not built for `--lib`.
# shellcheck disable=SC2034
with_servers=(
    an_inspection_makes_a_secret between_two_machines browser:: browser_races:: in_a_browser caching_proxy each_store
    golden_files::the_files_of mariadb
    migration::from_tower_sessions pictures postgres proxy_buffers redis testing_kit::a_forged_session_has_an_owner
)
# These try all orders of events, or random plays, for a minute.
# shellcheck disable=SC2034
searches=(model:: schedules::)
# It starts a compiler for each mistake.
# shellcheck disable=SC2034
compile_fail=each_mistake_is_one_message_at_its_place
