# --- What this script uses -------------------------------------------------------------------------------------------

# apis_answer: an API that was just enabled is not in force everywhere at once.
apis_answer() {
  gcloud compute networks subnets list --project="$project" --network="$network" >/dev/null 2>&1 &&
    gcloud container get-server-config --region="$config_region" --project="$project" >/dev/null 2>&1 &&
    gcloud container fleet memberships list --project="$project" >/dev/null 2>&1
}

# at_least VERSION LOWEST
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# gke_version REGION CHANNEL LOWEST: the channel's default if it is new enough, else its lowest version that is.
gke_version() {
  local offered version default
  offered="$(gcloud container get-server-config --region="$1" --project="$project" --flatten=channels \
    --filter="channels.channel=$2" \
    --format='value(channels.defaultVersion,channels.validVersions.list(separator=" "))' 2>/dev/null)"
  default="$(field 1 "$offered")"
  if [ -n "$default" ] && at_least "$default" "$3"; then
    printf '%s\n' "$default"
    return 0
  fi
  for version in $(field 2 "$offered" | tr ' ' '\n' | sort -V); do
    if at_least "$version" "$3"; then
      printf '%s\n' "$version"
      return 0
    fi
  done
  die "release channel $2 offers no GKE version from $3 on in $1"
}

# cluster_runs NAME REGION
cluster_runs() {
  local found
  found="$(cluster "$1" "$2")" || return 1
  case "$(field 1 "$found")" in
    RUNNING | RECONCILING) ;;
    PROVISIONING) return 1 ;;
    *) die "cluster $1 is $(field 1 "$found"); look at: gcloud container clusters describe $1 --location=$2" ;;
  esac
}

# pool_runs CLUSTER REGION NAME
pool_runs() {
  local found
  found="$(pool "$1" "$2" "$3")" || return 1
  case "$(field 1 "$found")" in
    RUNNING | RECONCILING) ;;
    PROVISIONING) return 1 ;;
    *)
      die "node pool $3 of $1 is $(field 1 "$found"): $(field 3 "$found")
Without machines in a zone: delete the pool, name another zone in the specification and export again
  gcloud container node-pools delete $3 --cluster=$1 --location=$2 --project=$project"
      ;;
  esac
}

# membership_ready REGION NAME
membership_ready() {
  local found
  found="$(membership "$1" "$2")" && case "$(field 3 "$found")" in READY | *UPDATING) ;; *) return 1 ;; esac
}

# begin WHAT, begun WHAT, end WHAT: gcloud marks what it registers and enables only afterwards, so that it is this
# script's is written down beforehand, beside it: a run that was stopped in between is gone on with.
begin() { : >"$here/.begun-$1"; }
begun() { [ -e "$here/.begun-$1" ]; }
end() { rm -f "$here/.begun-$1"; }

# mark_ingress: gcloud cannot label a feature, so this one request is curl's; the token goes in by a pipe.
mark_ingress() {
  printf 'header = "Authorization: Bearer %s"\n' "$(gcloud auth print-access-token)" |
    curl --silent --show-error --fail --config - --output /dev/null --request PATCH \
      --header 'Content-Type: application/json' --data '{"labels": {"managed-by": "mcig", "mcig-stack": "'"$stack"'"}}' \
      "$fleet_api/v1/projects/$project/locations/global/features/multiclusteringress?updateMask=labels"
}

# ingress_ready CONTEXT GATEWAY_CLASS: the controller runs and has told the config cluster.
ingress_ready() {
  local found
  found="$(ingress)" && [ "$(field 2 "$found")" = OK ] &&
    [ "$(kubectl --context="$1" get gatewayclass "$2" --ignore-not-found \
      -o jsonpath='{.status.conditions[?(@.type=="Accepted")].status}')" = True ]
}

# apply CONTEXT MANAGER FILE: what exists without this stack's marks is left as it is, with all of its file.
apply() {
  local others
  others="$(foreign "$1" "$3")"
  if [ -n "$others" ]; then
    say "left as they are, because another hand made them: $others"
    return 0
  fi
  kubectl --context="$1" apply --server-side --field-manager="$2" -f "$here/manifests/$3"
}

# knows CONTEXT FILE: whether the cluster knows the kinds in a file.
knows() { kubectl --context="$1" get -f "$here/manifests/$2" --ignore-not-found >/dev/null 2>&1; }

# give_token CONTEXT NAMESPACE: by a pipe only, so that the token is in no command line, file or trace.
give_token() (
  { set +x; } 2>/dev/null
  stored="$(kubectl --context="$1" -n "$2" get secret hf-token --ignore-not-found \
    -o jsonpath='{.metadata.name} {.metadata.labels.mcig-stack}')"
  if [ -n "$stored" ] && { [ "$stored" != "hf-token $stack" ] || [ -z "${HF_TOKEN:-}" ]; }; then
    say "the Secret hf-token is there: left as it is"
    exit 0
  fi
  [ -n "${HF_TOKEN:-}" ] || die "HF_TOKEN is not set: export HF_TOKEN=hf_... (from huggingface.co/settings/tokens)"
  digest="$(printf %s "$HF_TOKEN" | openssl dgst -sha256 -hmac "managed-by=mcig mcig-stack=$stack" | sed 's/.* //')"
  printf '{"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": "hf-token", "namespace": "%s",
    "labels": {"managed-by": "mcig", "mcig-stack": "%s"}, "annotations": {"mcig/token-digest": "%s"}},
    "data": {"token": "%s"}}' "$2" "$stack" "$(printf %s "$digest" | cut -c 1-16)" \
    "$(printf %s "$HF_TOKEN" | base64 | tr -d '\n')" |
    kubectl --context="$1" apply --server-side --field-manager=mcig-secret --force-conflicts -f -
)

# metric_form CONTEXT: the shape of AutoscalingMetric that the cluster takes; GKE 1.35 changed it.
metric_form() {
  local form at='.spec.versions[?(@.name=="v1beta1")].schema.openAPIV3Schema.properties.spec.properties'
  for form in metrics endpoints; do
    if [ -n "$(kubectl --context="$1" get crd autoscalingmetrics.autoscaling.gke.io --ignore-not-found \
      -o jsonpath="{$at.$form.type}")" ]; then
      printf '%s\n' "$form"
      return 0
    fi
  done
  return 1
}

# knows_metrics CONTEXT
knows_metrics() { metric_form "$1" >/dev/null; }

# imported CONTEXT NAMESPACE POOL
imported() {
  [ -n "$(kubectl --context="$1" -n "$2" get gcpinferencepoolimports.networking.gke.io "$3" --ignore-not-found \
    -o name 2>/dev/null)" ]
}

# holds CONTEXT NAMESPACE OBJECT CONDITION...: whether all conditions of an object are true.
holds() {
  local context="$1" space="$2" object="$3" condition
  shift 3
  for condition in "$@"; do
    kubectl --context="$context" -n "$space" wait --for="condition=$condition" "$object" --timeout=1s \
      >/dev/null 2>&1 || return 1
  done
}

# route_holds CONTEXT NAMESPACE ROUTE: whether the gateway has taken up the route.
route_holds() {
  local condition
  for condition in Accepted ResolvedRefs Reconciled; do
    [ "$(kubectl --context="$1" -n "$2" get httproute "$3" \
      -o jsonpath="{.status.parents[0].conditions[?(@.type==\"$condition\")].status}")" = True ] || return 1
  done
}

# addresses CONTEXT NAMESPACE GATEWAY: region and address, a line each; which belongs together says the load balancer.
addresses() {
  local mine
  mine=" $(kubectl --context="$1" -n "$2" get gateway "$3" -o jsonpath='{.status.addresses[*].value}') "
  gcloud compute forwarding-rules list --global --project="$project" --format='value(IPAddress,subnetwork)' |
    awk -F '\t' -v mine="$mine" 'index(mine, " " $1 " ") { sub(".*/regions/", "", $2); sub("/.*", "", $2); print $2 "\t" $1 }'
}

# has_addresses CONTEXT NAMESPACE GATEWAY NUMBER
has_addresses() { [ "$(addresses "$1" "$2" "$3" | wc -l)" -ge "$4" ]; }

# start_relay CONTEXT NAMESPACE TARGETS: a Pod inside the VPC that forwards to the gateway; it ends after an hour.
start_relay() {
  if [ -n "$(foreign "$1" "$config/relay-pod.yaml")$(foreign "$1" "$config/relay-script.yaml")" ]; then
    die "another stack has its relay in namespace $2: kubectl --context=$1 -n $2 delete pod mcig-relay"
  fi
  kubectl --context="$1" apply --server-side --field-manager=mcig-relay -f "$here/manifests/$config/relay-script.yaml"
  kubectl --context="$1" -n "$2" delete pod mcig-relay --ignore-not-found
  sed "s/value: ADDRESSES:[0-9]*/value: $3/" "$here/manifests/$config/relay-pod.yaml" |
    kubectl --context="$1" apply --server-side --field-manager=mcig-relay -f -
  kubectl --context="$1" -n "$2" wait --for=condition=Ready pod/mcig-relay --timeout=10m
}

# ask REGION ADDRESS BODY: one prompt through one address, by way of the relay.
ask() {
  curl --silent --show-error --unix-socket "$private/kubectl" --max-time "$timeout_s" \
    --write-out '\n%{http_code}\n' --header 'Content-Type: application/json' \
    --header "x-gateway-inference-objective: $objective" --data "$3" \
    "http://localhost/api/v1/namespaces/$namespace/pods/mcig-relay:8080/proxy/to/$2/v1/completions"
}

# answers REGION ADDRESS BODY: whether a model answers; what it says is shown.
answers() {
  local said status
  said="$(ask "$@")" || return 1
  status="$(printf '%s' "$said" | tail -n 1)"
  case "$status" in
    200) say "$1 ($2) answers: $(printf '%s' "$said" | head -n 1 | cut -c 1-300)" ;;
    404 | 429 | 502 | 503 | 504) return 1 ;;
    *) die "$1 ($2) answers $status: $(printf '%s' "$said" | head -n 1 | cut -c 1-300)" ;;
  esac
}

# metric_reported CONTEXT NAMESPACE APP PORT METRIC: whether every model server reports what traffic is balanced by.
metric_reported() {
  local pod pods
  pods="$(kubectl --context="$1" -n "$2" get pods -l "app=$3" --field-selector=status.phase=Running \
    -o jsonpath='{.items[*].metadata.name}')" && [ -n "$pods" ] || return 1
  for pod in $pods; do
    kubectl --context="$1" get --raw "/api/v1/namespaces/$2/pods/$pod:$4/proxy/metrics" 2>/dev/null |
      grep "^$5" >/dev/null || return 1
  done
}
