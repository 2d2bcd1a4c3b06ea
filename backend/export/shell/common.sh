# --- What both scripts use -------------------------------------------------------------------------------------------

umask 077
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
readonly here
POLL_SECONDS="${POLL_SECONDS:-10}"       # between two looks at something that takes its time
export CLOUDSDK_CORE_DISABLE_PROMPTS=1   # gcloud asks nothing; this script does
export USE_GKE_GCLOUD_AUTH_PLUGIN=True

say() { printf '%s  %s\n' "$(date +%H:%M:%S)" "$*"; }

step() { printf '\n%s  == %s\n' "$(date +%H:%M:%S)" "$*"; }

die() {
  printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
  printf 'Once that is mended, run the same script again: it goes on where it stopped.\n' >&2
  exit 1
}

# needs PROGRAM...: all of them, or the end.
needs() {
  local program missing=""
  for program in "$@"; do
    command -v "$program" >/dev/null 2>&1 || missing="$missing $program"
  done
  [ -z "$missing" ] || die "these programs are needed and not installed:$missing"
}

# agreed QUESTION [--yes]: asks where there is a terminal to ask at.
agreed() {
  local answer
  if [ "${2:-}" = "--yes" ] || [ ! -t 0 ]; then
    return 0
  fi
  printf '%s [y/N] ' "$1"
  read -r answer || answer=""
  case "$answer" in
    y | Y | yes) ;;
    *)
      printf 'Nothing was changed.\n'
      exit 1
      ;;
  esac
}

# wait_until WHAT SECONDS COMMAND...: until the command says so.
wait_until() {
  local what="$1" deadline=$((SECONDS + $2)) told=$SECONDS
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || die "waited too long until $what"
    if [ "$SECONDS" -ge "$told" ]; then
      say "waiting until $what"
      told=$((SECONDS + 60))
    fi
    sleep "$POLL_SECONDS"
  done
}

# patiently PATTERN SECONDS COMMAND...: again, as long as it fails with words that match the pattern.
patiently() {
  local pattern="$1" deadline=$((SECONDS + $2)) said
  shift 2
  until said="$("$@" 2>&1)"; do
    if ! printf '%s' "$said" | grep -Eq "$pattern" || [ "$SECONDS" -ge "$deadline" ]; then
      printf '%s\n' "$said" >&2
      die "this failed: $*"
    fi
    sleep "$POLL_SECONDS"
  done
}

# cluster NAME REGION: its status and the stack in its labels, nothing where there is none.
cluster() {
  gcloud container clusters list --project="$project" \
    --format='value(name,location,status,resourceLabels.mcig-stack)' |
    awk -F '\t' -v name="$1" -v region="$2" '$1 == name && $2 == region { print $3 "\t" $4 }'
}

# cluster_gone NAME REGION
cluster_gone() {
  local found
  found="$(cluster "$1" "$2")" && [ -z "$found" ]
}

# pool CLUSTER REGION NAME: its status, the stack in its labels and what Google says of it.
pool() {
  gcloud container node-pools list --cluster="$1" --location="$2" --project="$project" \
    --format='value(name,status,config.resourceLabels.mcig-stack,statusMessage)' |
    awk -F '\t' -v name="$3" '$1 == name { print $2 "\t" $3 "\t" $4 }'
}

# pool_gone CLUSTER REGION NAME
pool_gone() {
  local found
  found="$(pool "$1" "$2" "$3")" && [ -z "$found" ]
}

# membership REGION NAME: location, name, state and the stack of the membership that links to a cluster.
membership() {
  gcloud container fleet memberships list --project="$project" \
    --format='value(name.segment(3),name.segment(5),state.code,labels.mcig-stack,endpoint.gkeCluster.resourceLink)' |
    awk -F '\t' -v link="projects/$project/locations/$1/clusters/$2" \
      '{ sub(".*/projects/", "projects/", $5) } $5 == link { print $1 "\t" $2 "\t" $3 "\t" $4 }'
}

# ingress: config membership, state and stack of the fleet's controller of multi-cluster gateways.
ingress() {
  gcloud container fleet features list --project="$project" \
    --format='value(name.basename(),spec.multiclusteringress.configMembership,state.state.code,labels.mcig-stack)' |
    awk -F '\t' '$1 == "multiclusteringress" { print $2 "\t" $3 "\t" $4 }'
}

# proxy_subnet REGION: name and description of its active proxy-only subnet for cross-region load balancers.
proxy_subnet() {
  gcloud compute networks subnets list --project="$project" --network="$network" --regions="$1" \
    --format='value(name,description,purpose,role)' |
    awk -F '\t' '$3 == "GLOBAL_MANAGED_PROXY" && $4 == "ACTIVE" { print $1 "\t" $2 }'
}

# node_account_made: description of the nodes' service account, "-" where it has none, nothing where it does not exist.
node_account_made() {
  gcloud iam service-accounts list --project="$project" --format='value(email,description)' |
    awk -F '\t' -v email="$node_account" '$1 == email { print ($2 == "" ? "-" : $2) }'
}

# field NUMBER LINE: one of its fields, which tabs divide.
field() { printf '%s\n' "$2" | cut -f "$1"; }

# ours DESCRIPTION: whether it carries the marks of this stack.
ours() {
  case " $1 " in
    *" managed-by=mcig mcig-stack=$stack "*) ;;
    *) return 1 ;;
  esac
}

# foreign CONTEXT FILE: those of its objects that exist without the marks of this stack.
foreign() {
  kubectl --context="$1" get -f "$here/manifests/$2" --ignore-not-found --no-headers \
    -o 'custom-columns=STACK:.metadata.labels.mcig-stack,KIND:.kind,NAME:.metadata.name' |
    awk -v stack="$stack" '$1 != stack { print $2 "/" $3 }' | tr '\n' ' '
}
