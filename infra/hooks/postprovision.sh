#!/usr/bin/env bash
# azd runs this when the resources exist and the app does not run yet: the identity gets its permissions before it asks for its
# first token, which Azure then keeps for about a day. It uses the values of azd's environment:
#   FIRSTPASS_PERMISSIONS=granted    somebody else grants them; this only says what they run
#   FIRSTPASS_MODE=role              the role Authentication Administrator instead of the permission to make passes,
#   FIRSTPASS_ADMINISTRATIVE_UNIT    limited to this unit
set -euo pipefail
infra=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
: "${FIRSTPASS_PRINCIPAL_ID:?is an output of infra/main.bicep: run azd provision}" "${FIRSTPASS_CLIENT_ID:?is an output of infra/main.bicep: run azd provision}"

graph=(--principal-id "$FIRSTPASS_PRINCIPAL_ID" --mode "${FIRSTPASS_MODE:-permissions}")
[ -z "${FIRSTPASS_FEATURES:-}" ] || graph+=(--features "$FIRSTPASS_FEATURES")
[ -z "${FIRSTPASS_ADMINISTRATIVE_UNIT:-}" ] || graph+=(--administrative-unit "$FIRSTPASS_ADMINISTRATIVE_UNIT")
mail=(-PrincipalId "$FIRSTPASS_PRINCIPAL_ID" -ClientId "$FIRSTPASS_CLIENT_ID" -MailFrom "${FIRSTPASS_MAIL_FROM:-<MAIL_FROM>}")
commands="  infra/grant-permissions.sh ${graph[*]}
  pwsh infra/Grant-MailSend.ps1 ${mail[*]}"

if [ "${FIRSTPASS_PERMISSIONS:-}" = granted ]; then
  cat <<END
Permissions: not touched (FIRSTPASS_PERMISSIONS=granted). If an option, a group or the mailbox is new, whoever grants them has to run
these again; they change only what is missing:
$commands
END
  exit
fi

stop() {
  cat >&2 <<END

azd stops here, before it deploys the app: an app without permissions keeps its first token, and fails, for about a day.
If somebody else grants them, let them run
$commands
and then go on with
  azd env set FIRSTPASS_PERMISSIONS granted && azd up
END
  exit 1
}

echo "Permissions in Microsoft Graph:"
"$infra/grant-permissions.sh" "${graph[@]}" || stop

echo "Permission to send mail as ${FIRSTPASS_MAIL_FROM:-MAIL_FROM}:"
if [ -n "${FIRSTPASS_MAIL_FROM:-}" ] && [ -z "${CI:-}" ] && command -v pwsh >/dev/null &&
  pwsh -NoProfile -Command 'exit 2 - @(Get-Module -ListAvailable ExchangeOnlineManagement, Microsoft.Graph.Applications | Sort-Object Name -Unique).Count'; then
  pwsh -NoProfile -File "$infra/Grant-MailSend.ps1" "${mail[@]}" || stop
else
  cat <<END
  TO DO: not granted, because it needs a person who signs in, and PowerShell 7 with the modules ExchangeOnlineManagement and
  Microsoft.Graph.Applications. Until somebody has run this, the app can send no mail:
  pwsh infra/Grant-MailSend.ps1 ${mail[*]}
END
fi
