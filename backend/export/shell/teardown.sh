# --- What this script uses -------------------------------------------------------------------------------------------

# remove CONTEXT FILE: those of its objects that carry this stack's marks, the last applied first.
remove() {
  local found line
  found="$(kubectl --context="$1" get -f "$here/manifests/$2" --ignore-not-found --no-headers \
    -o 'custom-columns=STACK:.metadata.labels.mcig-stack,KIND:.kind,API:.apiVersion,NAME:.metadata.name,IN:.metadata.namespace' \
    2>&1)" || case "$found" in *"no matches for kind"*) return 0 ;; *) die "$found" ;; esac
  printf '%s\n' "$found" | awk -v stack="$stack" '$1 == stack { lines[++n] = $2 "\t" $3 "\t" $4 "\t" $5 }
    END { for (; n > 0; n--) print lines[n] }' |
    while IFS= read -r line; do
      remove_one "$1" "$(field 1 "$line")" "$(field 2 "$line")" "$(field 3 "$line")" "$(field 4 "$line")"
    done
}

# remove_one CONTEXT KIND API_VERSION NAME NAMESPACE
remove_one() {
  local kind="$2" group="${3%/*}" place=""
  [ "$group" = "$3" ] || kind="$2.${3#*/}.$group"
  [ "$5" = "<none>" ] || place="--namespace=$5"
  kubectl --context="$1" delete "$kind" "$4" ${place:+"$place"} --ignore-not-found
}

# remove_secret CONTEXT NAMESPACE: the token's Secret, where it carries this stack's marks.
remove_secret() {
  if [ "$(kubectl --context="$1" -n "$2" get secret hf-token --ignore-not-found \
    -o jsonpath='{.metadata.labels.mcig-stack}')" = "$stack" ]; then
    kubectl --context="$1" -n "$2" delete secret hf-token
  fi
}

# parts CONTEXT NAMESPACE GATEWAY: kind and name of the parts of its load balancer, as GKE notes them on the Gateway.
parts() {
  local kind
  for kind in forwarding-rules target-http-proxies url-maps backend-services; do
    kubectl --context="$1" -n "$2" get gateway "$3" --ignore-not-found \
      -o jsonpath="{.metadata.annotations.networking\.gke\.io/$kind}" | tr ',' '\n' |
      awk -F / -v kind="$kind" 'NF { gsub(/ /, "", $NF); print kind "\t" $NF }'
  done
}

# parts_gone LINES
parts_gone() {
  local kind names
  for kind in $(printf '%s\n' "$1" | cut -f 1 | sort -u); do
    names="$(gcloud compute "$kind" list --global --project="$project" --format='value(name)')" || return 1
    if printf '%s\n' "$1" | awk -F '\t' -v kind="$kind" '$1 == kind { print $2 }' | grep -Fxq "$names"; then
      return 1
    fi
  done
}

# exported CONTEXT NAMESPACE POOL: whether this stack exports the pool.
exported() {
  case "$(kubectl --context="$1" -n "$2" get inferencepools.inference.networking.k8s.io "$3" --ignore-not-found \
    --show-managed-fields -o jsonpath='{.metadata.labels.mcig-stack}:{.metadata.managedFields[*].manager}' 2>/dev/null)" in
    :*mcig-export* | "$stack:"*mcig-export*) ;;
    *) return 1 ;;
  esac
}

# still_exported CONTEXT NAMESPACE POOL: whether anybody exports the pool.
still_exported() {
  case "$(kubectl --context="$1" -n "$2" get inferencepools.inference.networking.k8s.io "$3" --ignore-not-found \
    -o jsonpath='{.metadata.annotations.networking\.gke\.io/export}' 2>/dev/null)" in
    [Tt]rue) ;;
    *) return 1 ;;
  esac
}

# not_imported CONTEXT NAMESPACE POOL
not_imported() {
  local found
  found="$(kubectl --context="$1" -n "$2" get gcpinferencepoolimports.networking.gke.io "$3" --ignore-not-found -o name)" &&
    [ -z "$found" ]
}

# groups_gone CLUSTER_UID POOL: whether the endpoint groups of a cluster's pool are gone.
groups_gone() {
  local found
  found="$(gcloud compute network-endpoint-groups list --project="$project" --format='value(description)')" || return 1
  ! printf '%s\n' "$found" | grep -F "$1" | grep -Fq "\"$2\""
}

# others_served CONTEXT: what else on the config cluster the fleet's controller serves.
others_served() {
  local kind
  for kind in gateways.gateway.networking.k8s.io multiclusteringresses.networking.gke.io \
    multiclusterservices.networking.gke.io; do
    if [ -n "$(kubectl --context="$1" get crd "$kind" --ignore-not-found -o name)" ]; then
      kubectl --context="$1" get "$kind" -A --no-headers \
        -o 'custom-columns=KIND:.kind,CLASS:.spec.gatewayClassName,IN:.metadata.namespace,NAME:.metadata.name' |
        awk '$1 != "Gateway" || $2 ~ /-mc$/ { print $1 " " $3 "/" $4 }'
    fi
  done
}

# fleet_free: whether the fleet's controller is gone.
fleet_free() {
  local found
  found="$(ingress)" && [ -z "$found" ]
}

# membership_gone REGION NAME
membership_gone() {
  local found
  found="$(membership "$1" "$2")" && [ -z "$found" ]
}

# subnet_users REGION: other stacks' clusters and others' load balancers in a region.
subnet_users() {
  gcloud container clusters list --project="$project" --format='value(name,location,resourceLabels.mcig-stack)' |
    awk -F '\t' -v region="$1" -v stack="$stack" \
      '$2 == region && $3 != "" && $3 != stack { print "cluster " $1 " of stack " $3 }'
  gcloud compute forwarding-rules list --global --project="$project" --format='value(name,subnetwork)' |
    awk -F '\t' -v place="/regions/$1/" 'index($2, place) { print "forwarding rule " $1 }'
}

# unbind ROLE: takes a role from the nodes' service account, if it has it.
unbind() {
  local said
  said="$(gcloud projects remove-iam-policy-binding "$project" --member="serviceAccount:$node_account" --role="$1" \
    --condition=None 2>&1 >/dev/null)" || case "$said" in *"not found"*) ;; *) die "$said" ;; esac
}

# forget CONTEXT: takes a cluster out of the kubeconfig.
forget() {
  kubectl config delete-context "$1" >/dev/null 2>&1 || true
  kubectl config delete-cluster "$1" >/dev/null 2>&1 || true
  kubectl config delete-user "$1" >/dev/null 2>&1 || true
}

left=""
# leave WHAT: tells at the end what stays.
leave() { left="$left
  $*"; }
