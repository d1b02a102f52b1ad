#!/usr/bin/env bash
# Grants the app's managed identity what its features need in Microsoft Graph, by infra/permissions.json, and nothing else.
# Run it before the app asks for its first token: Azure keeps the token of a managed identity for about a day, and what is
# granted meanwhile takes effect with the next one. Running it again changes nothing. Needs az, signed in, and jq.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
list=$here/permissions.json

usage() {
  cat >&2 <<END
${1:+$1
}usage: grant-permissions.sh --principal-id ID [--features NAME,...] [--mode permissions|role]
         [--administrative-unit ID] [--dry-run] [--revoke]

  --principal-id ID          the object id of the managed identity (output FIRSTPASS_PRINCIPAL_ID), not its client id
  --features NAME,...        what the app uses, below; those marked * are always in. Default: those marked * or +
  --mode role                assigns the role $(jq -r .role.role "$list") instead of $(jq -r .role.instead_of "$list")
  --administrative-unit ID   limits the role to this unit
  --dry-run                  says what would be done
  --revoke                   takes back the permissions of these features; without --features, all of them and the role

$(jq -r '.features | to_entries[] | "  \(if .value.required then "*" elif .value.default then "+" else " " end) \(.key): \(.value.about)"' "$list")
END
  exit 2
}

say() { printf '  %-13s %s\n' "$@"; }
refuse() {
  printf 'Refused: %s\n' "$*" >&2
  exit 1
}
is_guid() { [[ $1 =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]]; }
lower() { tr '[:upper:]' '[:lower:]' <<<"$1"; }

for program in jq az; do
  command -v "$program" >/dev/null || refuse "this script needs $program. Azure Cloud Shell has it, and so have the package managers."
done

principal='' features='' mode=permissions unit='' dry_run='' revoke=''
while [ $# -gt 0 ]; do
  case $1 in
    --dry-run | --revoke | -h | --help) ;;
    *) [ $# -gt 1 ] || usage "$1 is unknown, or its value is missing" ;;
  esac
  case $1 in
    --principal-id) principal=$(lower "$2") && shift 2 ;;
    --features) features=${2// /} && shift 2 ;;
    --mode) mode=$2 && shift 2 ;;
    --administrative-unit) unit=$(lower "$2") && shift 2 ;;
    --dry-run) dry_run=yes && shift ;;
    --revoke) revoke=yes && shift ;;
    -h | --help) usage ;;
    *) usage "$1 is unknown" ;;
  esac
done
is_guid "$principal" || usage "--principal-id is not an object id: '$principal'"
[ "$mode" = permissions ] || [ "$mode" = role ] || usage "--mode is permissions or role, not '$mode'"
[ -z "$unit" ] || is_guid "$unit" || usage "--administrative-unit is not an object id: '$unit'"
[ -z "$unit" ] || [ "$mode" = role ] || usage "--administrative-unit needs --mode role: a permission cannot be limited to a unit"
unknown=$(jq -r --arg given "$features" '($given / "," | map(select(. != ""))) - (.features | keys) | join(", ")' "$list")
[ -z "$unknown" ] || usage "unknown features: $unknown"

errors=$(mktemp)
trap 'rm -f "$errors"' EXIT

# graph METHOD PATH [BODY]: the answer, or the error in $errors.
graph() {
  local arguments=(--method "$1" --url "$root/v1.0/$2" --output json)
  [ $# -lt 3 ] || arguments+=(--headers Content-Type=application/json --body "$3")
  az rest "${arguments[@]}" 2>"$errors"
}

# failed WHAT ROLE: what a person does about the last error.
failed() {
  local text
  text=$(cat "$errors")
  case $text in
    *Authorization_RequestDenied* | *Forbidden* | *"nsufficient privileges"*)
      refuse "$1 is not permitted to whoever is signed in to az. It needs the role $2. If you hold it, use
  infra/Grant-Permissions.ps1, whose sign-in asks for the scopes. Nothing that was done is lost: run this again. Graph says:
  $text"
      ;;
    *) refuse "$1 failed. Nothing that was done is lost: run this again. Graph says:
  $text" ;;
  esac
}

tenant=$(az account show --query tenantId --output tsv 2>"$errors") || refuse "nobody is signed in: run az login --tenant <the tenant of the joiners>"
root=$(az cloud show --query endpoints.microsoftGraphResourceId --output tsv)
root=${root%/}

# A new identity appears in Graph after some seconds.
for attempt in 1 2 3 4 5 6; do
  if identity=$(graph get "servicePrincipals/$principal?\$select=id,appId,displayName"); then break; fi
  grep -q Request_ResourceNotFound "$errors" || failed "Reading the identity" "Application Administrator, or a directory role that reads applications"
  [ "$attempt" -lt 6 ] || refuse "the tenant $tenant has no identity with the object id $principal. Give the object id of the managed
  identity (output FIRSTPASS_PRINCIPAL_ID), not its client id, and sign in to the identity's tenant."
  sleep 10
done
resource=$(graph get "servicePrincipals?\$filter=appId%20eq%20'$(jq -r .resource "$list")'&\$select=id,appRoles" | jq '.value[0]') ||
  failed "Reading the permissions that Microsoft Graph has" "Application Administrator"
held=$(graph get "servicePrincipals/$principal/appRoleAssignments?\$top=999") ||
  failed "Reading the permissions of the identity" "Application Administrator"
graph_id=$(jq -r .id <<<"$resource")
held=$(jq --arg graph "$graph_id" '[.value[] | select(.resourceId == $graph)]' <<<"$held")

role=$(jq -r .role.id "$list") role_name=$(jq -r .role.role "$list")
scope=/${unit:+administrativeUnits/$unit}
if roles=$(graph get "roleManagement/directory/roleAssignments?\$filter=principalId%20eq%20'$principal'"); then
  roles=$(jq --arg role "$role" '[.value[] | select(.roleDefinitionId == $role)]' <<<"$roles")
elif [ "$mode" = role ]; then
  failed "Reading the identity's roles" "Privileged Role Administrator"
else
  echo "Not checked: whether the identity holds the role $role_name. Its roles could not be read." >&2
  roles='[]'
fi

printf '%s, %s, tenant %s\n' "$(jq -r .displayName <<<"$identity")" "$principal" "$tenant"
if [ "$revoke" ]; then
  taken=$(jq -r --arg given "$features" --argjson held "$held" '
    ($given / "," | map(select(. != ""))) as $given
    | (.permissions[], (.never[] | .features = [])) | select($given == [] or any(.features[]; IN($given[])))
    | .id as $id | "\([$held[] | select(.appRoleId == $id).id][0] // "-") \(.permission)"' "$list")
  while read -r assignment name; do
    if [ "$assignment" = - ]; then
      say 'not held' "$name"
    elif [ "$dry_run" ]; then
      say 'would revoke' "$name"
    else
      graph delete "servicePrincipals/$principal/appRoleAssignments/$assignment" >/dev/null || failed "Revoking $name" "Privileged Role Administrator"
      say revoked "$name"
    fi
  done <<<"$taken"
  if [ -z "$features" ] || [[ ,$features, == *,passes,* ]]; then
    for assignment in $(jq -r '.[].id' <<<"$roles"); do
      if [ "$dry_run" ]; then
        say 'would remove' "the role $role_name"
      else
        graph delete "roleManagement/directory/roleAssignments/$assignment" >/dev/null || failed "Removing the role" "Privileged Role Administrator"
        say removed "the role $role_name"
      fi
    done
  fi
  [ -z "$features" ] || echo "A permission that other features share is gone too: run this without --revoke, with the features that stay."
  echo "A token that the app has works until it ends, for up to a day. To stop the app at once, stop the function app."
  exit
fi

# The permission and the role add up: with both, the role limits nothing.
instead=$(jq -r '.role.instead_of as $name | .permissions[] | select(.permission == $name).id' "$list")
undo="Take that back first: grant-permissions.sh --principal-id $principal --revoke --features passes. Then run this again."
if [ "$mode" = role ] && jq -e --arg id "$instead" 'any(.[]; .appRoleId == $id)' <<<"$held" >/dev/null; then
  refuse "the identity holds $(jq -r .role.instead_of "$list"), which reaches every account, so the role would limit nothing. $undo"
fi
elsewhere=$(jq -r --arg mode "$mode" --arg scope "$scope" '[.[] | select($mode != "role" or .directoryScopeId != $scope).directoryScopeId] | join(", ")' <<<"$roles")
[ -z "$elsewhere" ] || refuse "the identity holds the role $role_name at $elsewhere, which is not what is asked for. $undo"

needed=$(jq --arg given "$features" --arg mode "$mode" '
  ($given / "," | map(select(. != ""))) as $given
  | [.features | to_entries[] | select(.value.required or (.key | IN($given[])) or ($given == [] and .value.default)).key] as $features
  | .role.instead_of as $instead
  | [.permissions[] | select(any(.features[]; IN($features[])) and ($mode == "permissions" or .permission != $instead))]' "$list")
missing=$(jq -r --argjson graph "$resource" '[.[] | . as $p
  | select(any($graph.appRoles[]; .id == $p.id and .value == $p.permission and .isEnabled and any(.allowedMemberTypes[]; . == "Application")) | not).permission] | join(", ")' <<<"$needed")
[ -z "$missing" ] || refuse "Microsoft Graph of this cloud does not have these application permissions with the ids of permissions.json: $missing"

granted=''
while read -r is_held id name; do
  if [ "$is_held" = true ]; then
    say has "$name"
  elif [ "$dry_run" ]; then
    say 'would grant' "$name"
  elif graph post "servicePrincipals/$principal/appRoleAssignments" \
    "{\"principalId\": \"$principal\", \"resourceId\": \"$graph_id\", \"appRoleId\": \"$id\"}" >/dev/null; then
    say granted "$name" && granted=yes
  elif grep -q 'already exists' "$errors"; then
    say has "$name"
  else
    failed "Granting $name" "Privileged Role Administrator"
  fi
done < <(jq -r --argjson held "$held" '.[] | "\(.id | IN($held[].appRoleId)) \(.id) \(.permission)"' <<<"$needed")

if [ "$mode" = role ]; then
  if jq -e 'length > 0' <<<"$roles" >/dev/null; then
    say has "the role $role_name at $scope"
  elif [ "$dry_run" ]; then
    say 'would assign' "the role $role_name at $scope"
  else
    graph post roleManagement/directory/roleAssignments \
      "{\"principalId\": \"$principal\", \"roleDefinitionId\": \"$role\", \"directoryScopeId\": \"$scope\"}" >/dev/null ||
      failed "Assigning the role $role_name" "Privileged Role Administrator"
    say assigned "the role $role_name at $scope" && granted=yes
  fi
fi

jq -r --argjson needed "$needed" --argjson graph "$resource" --arg url "$root/v1.0/servicePrincipals/$principal/appRoleAssignments" --slurpfile list "$list" '
  .[] | .appRoleId as $id | select($id | IN($needed[].id) | not)
  | ([$graph.appRoles[] | select(.id == $id).value][0] // $id) as $name
  | ([$list[0].never[] | select(.id == $id).reason][0] // "these features do not need it") as $why
  | "Too much: the identity also holds \($name): \($why). To remove it:\n  az rest --method delete --url \($url)/\(.id)"' <<<"$held" >&2
[ -z "$granted" ] || echo "If the app has asked for a token before, it takes up to a day until it has the new permissions; a restart does not help."
