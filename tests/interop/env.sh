# Where the interop tools are installed; sourced by the scripts beside it. INTEROP_DIR overrides, so that several checkouts can share one.
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
export INTEROP_DIR=${INTEROP_DIR:-$(cd "$here/../.." && pwd -P)/target/interop}
modules=$INTEROP_DIR/node_modules
export PATH="$INTEROP_DIR/bin:$PATH" # our node first: what these tools start by name runs on it too

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

installed() { [ -x "$INTEROP_DIR/bin/node" ] && [ -d "$modules" ] || die "nothing in $INTEROP_DIR; run $here/install first"; }
