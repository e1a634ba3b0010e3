# Sourced: `stage NAME COMMAND...` runs a command, says how many minutes it took and stops on failure.
stage() {
  local name=$1 start=$SECONDS code=0
  shift
  printf '\n== %s\n' "$name"
  "$@" || code=$?
  printf '== %s: %s, %d.%d min\n' "$name" "$([ "$code" = 0 ] && echo passed || echo FAILED)" \
    $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60 / 6))
  return "$code"
}
