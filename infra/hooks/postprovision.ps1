#Requires -Version 7.0
# azd runs this on Windows when the resources exist and the app does not run yet. It does what postprovision.sh does, with the
# same values of azd's environment, and Microsoft.Graph's modules instead of the Azure CLI.
$ErrorActionPreference = 'Stop'
$infra = Split-Path $PSScriptRoot
foreach ($name in 'FIRSTPASS_PRINCIPAL_ID', 'FIRSTPASS_CLIENT_ID') {
    if (-not [Environment]::GetEnvironmentVariable($name)) { throw "$name is an output of infra/main.bicep: run azd provision." }
}

$graph = @{ PrincipalId = $env:FIRSTPASS_PRINCIPAL_ID; Mode = $env:FIRSTPASS_MODE ? $env:FIRSTPASS_MODE : 'Permissions' }
if ($env:FIRSTPASS_FEATURES) { $graph.Features = $env:FIRSTPASS_FEATURES }
if ($env:FIRSTPASS_ADMINISTRATIVE_UNIT) { $graph.AdministrativeUnit = $env:FIRSTPASS_ADMINISTRATIVE_UNIT }
$mail = @{
    PrincipalId = $env:FIRSTPASS_PRINCIPAL_ID
    ClientId    = $env:FIRSTPASS_CLIENT_ID
    MailFrom    = $env:FIRSTPASS_MAIL_FROM ? $env:FIRSTPASS_MAIL_FROM : '<MAIL_FROM>'
}
function Get-Arguments([hashtable] $Values) { @($Values.GetEnumerator() | Sort-Object Key | ForEach-Object { "-$($_.Key) $($_.Value)" }) -join ' ' }
$commands = @"
  infra/Grant-Permissions.ps1 $(Get-Arguments $graph)
  infra/Grant-MailSend.ps1 $(Get-Arguments $mail)
"@
if ($env:FIRSTPASS_PERMISSIONS -eq 'granted') {
    Write-Output @"
Permissions: not touched (FIRSTPASS_PERMISSIONS=granted). If an option, a group or the mailbox is new, whoever grants them has to run
these again; they change only what is missing:
$commands
"@
    return
}
$stop = @"
azd stops here, before it deploys the app: an app without permissions keeps its first token, and fails, for about a day.
If somebody else grants them, let them run
$commands
and then go on with
  azd env set FIRSTPASS_PERMISSIONS granted; azd up
"@

try {
    Write-Output 'Permissions in Microsoft Graph:'
    & "$infra/Grant-Permissions.ps1" @graph
    Write-Output "Permission to send mail as $($mail.MailFrom):"
    $modules = @(Get-Module -ListAvailable ExchangeOnlineManagement, Microsoft.Graph.Applications | Sort-Object Name -Unique)
    if ($env:FIRSTPASS_MAIL_FROM -and -not $env:CI -and $modules.Count -eq 2) { & "$infra/Grant-MailSend.ps1" @mail }
    else {
        Write-Output @"
  TO DO: not granted, because it needs a person who signs in, and the modules ExchangeOnlineManagement and
  Microsoft.Graph.Applications. Until somebody has run this, the app can send no mail:
  infra/Grant-MailSend.ps1 $(Get-Arguments $mail)
"@
    }
}
catch { throw "$_`n`n$stop" }
