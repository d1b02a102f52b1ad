#Requires -Version 7.0
<#
.SYNOPSIS
Permits the app's managed identity to send mail as the mailboxes of MAIL_FROM, and as no other.

.DESCRIPTION
Uses role-based access control for applications in Exchange Online: the role Application Mail.Send with a scope of these
mailboxes. Tests that the identity may send as them, and that it may not send as another one. Running it again adds new mailboxes only.
Whoever runs it needs the role Exchange Administrator and the right to read applications in Entra ID, and the modules
ExchangeOnlineManagement and Microsoft.Graph.Applications.

.PARAMETER PrincipalId
The object id of the managed identity (output FIRSTPASS_PRINCIPAL_ID).

.PARAMETER ClientId
Its client id (output FIRSTPASS_CLIENT_ID).

.PARAMETER MailFrom
The mailbox of MAIL_FROM, and those of EmailFrom if callers of CreateTap may choose the sender.

.PARAMETER ForeignMailbox
A mailbox as which the identity must not be able to send, for the test. Default: one that Exchange lists.

.PARAMETER Name
The name of the scope and of the assignment in Exchange. Default: firstpass- and the start of the client id.

.PARAMETER Revoke
Removes the assignment, the scope and Exchange's reference to the identity.

.PARAMETER Environment
The cloud, as Connect-MgGraph names it.

.EXAMPLE
infra/Grant-MailSend.ps1 -PrincipalId $id -ClientId $client -MailFrom welcome@contoso.com -WhatIf
#>
[CmdletBinding(SupportsShouldProcess, DefaultParameterSetName = 'Grant')]
param(
    [Parameter(Mandatory)] [guid] $PrincipalId,
    [Parameter(Mandatory)] [guid] $ClientId,
    [Parameter(Mandatory, ParameterSetName = 'Grant')] [string[]] $MailFrom,
    [Parameter(ParameterSetName = 'Grant')] [string] $ForeignMailbox,
    [ValidateLength(1, 64)] [string] $Name = "firstpass-$("$ClientId".Substring(0, 8))",
    [Parameter(Mandatory, ParameterSetName = 'Revoke')] [switch] $Revoke,
    [ValidateSet('Global', 'USGov', 'USGovDoD')] [string] $Environment = 'Global'
)
$ErrorActionPreference = 'Stop'
# A module's functions do not see the preference of this script: without this, an error there would be passed over.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
Set-StrictMode -Version 3.0

$role = 'Application Mail.Send'
$exchange = @{ Global = 'O365Default'; USGov = 'O365USGovGCCHigh'; USGovDoD = 'O365USGovDoD' }[$Environment]
$modules = @{ 'Connect-ExchangeOnline' = 'ExchangeOnlineManagement'; 'Get-MgServicePrincipal' = 'Microsoft.Graph.Applications' }
foreach ($command in $modules.Keys) {
    if (-not (Get-Command $command -ErrorAction Ignore)) { throw "$command is missing: Install-Module $($modules[$command]) -Scope CurrentUser" }
}
if (-not (Get-ConnectionInformation | Where-Object State -EQ 'Connected')) {
    Connect-ExchangeOnline -ExchangeEnvironmentName $exchange -ShowBanner:$false
}
function Get-Line([string] $Action, [string] $What) { [pscustomobject]@{ Action = $Action; What = $What } }
# The cmdlets' parameter -Identity finds everything if it finds nothing, so everything is listed and compared here.
function Get-OwnScope { @(Get-ManagementScope | Where-Object Name -EQ $Name) }
function Get-OwnServicePrincipal { @(Get-ServicePrincipal | Where-Object AppId -EQ $ClientId) }
# Nor is -RoleAssignee documented for applications.
function Get-AssignmentOfIdentity {
    $ids = @(Get-OwnServicePrincipal | ForEach-Object { $_.ObjectId; $_.AppId })
    @(Get-ManagementRoleAssignment | Where-Object { "$($_.RoleAssignee)" -in $ids })
}
function Get-OwnAssignment {
    $assignments = @(Get-ManagementRoleAssignment -Role $role | Where-Object Name -EQ $Name)
    $own = @(Get-AssignmentOfIdentity | ForEach-Object { $_.Name })
    if ($assignments -and $Name -notin $own) { throw "The assignment $Name in Exchange belongs to another app. Nothing was changed: give another -Name." }
    $assignments
}

if ($Revoke) {
    foreach ($assignment in @(Get-OwnAssignment)) {
        if ($PSCmdlet.ShouldProcess($assignment.Name, "Remove the assignment of $role")) {
            Remove-ManagementRoleAssignment -Identity $assignment.Name -Confirm:$false
            Get-Line 'removed' "the assignment $($assignment.Name)"
        }
    }
    foreach ($scope in @(Get-OwnScope)) {
        if ($PSCmdlet.ShouldProcess($scope.Name, 'Remove the scope')) {
            Remove-ManagementScope -Identity $scope.Name -Confirm:$false
            Get-Line 'removed' "the scope $($scope.Name)"
        }
    }
    foreach ($principal in @(Get-OwnServicePrincipal)) {
        $others = @(Get-AssignmentOfIdentity | Where-Object Name -NE $Name)
        if ($others) {
            Write-Warning "The identity stays in Exchange: other assignments use it: $($others.Name -join ', ')."
        }
        elseif ($PSCmdlet.ShouldProcess($principal.ObjectId, "Remove Exchange's reference to the identity")) {
            Remove-ServicePrincipal -Identity $principal.ObjectId -Confirm:$false
            Get-Line 'removed' "the identity $($principal.ObjectId)"
        }
    }
    Write-Warning 'Exchange keeps what it permitted for up to two hours. To stop all mails at once, stop the function app.'
    return
}

$context = Get-MgContext
if (-not $context -or 'Application.Read.All' -notin $context.Scopes) {
    Connect-MgGraph -Scopes 'Application.Read.All' -Environment $Environment -NoWelcome
}
$identity = Get-MgServicePrincipal -ServicePrincipalId $PrincipalId
if ($identity.AppId -ne $ClientId) {
    throw "The identity $PrincipalId has the client id $($identity.AppId), not $ClientId. Give both ids of the same identity."
}
$list = Get-Content -Raw (Join-Path $PSScriptRoot 'permissions.json') | ConvertFrom-Json -AsHashtable
$mailSend = $list.never | Where-Object permission -EQ 'Mail.Send'
$tenantWide = @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -All | Where-Object AppRoleId -EQ $mailSend.id)
if ($tenantWide) {
    throw "The identity holds Mail.Send in Entra ID: with it, it sends as every mailbox, and the scope limits nothing. Remove it first, and run this again: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -AppRoleAssignmentId $($tenantWide[0].Id)"
}

$mailboxes = @(foreach ($address in $MailFrom -split ',' | ForEach-Object { $_.Trim() }) {
        try { $mailbox = Get-EXOMailbox -Identity $address }
        catch { throw "Exchange has no mailbox $address. Create it as a shared mailbox, and run this again. Exchange says: $_" }
        if ($mailbox.RecipientTypeDetails -ne 'SharedMailbox') {
            Write-Warning "$address is a $($mailbox.RecipientTypeDetails). A mail that comes back may quote the code: use a shared mailbox that nobody reads."
        }
        $mailbox
    })
# Not by address: that also matches every alias, which whoever manages recipients can move to another mailbox.
$filter = @($mailboxes | ForEach-Object { "ExternalDirectoryObjectId -eq '$($_.ExternalDirectoryObjectId)'" }) -join ' -or '
$expected = @($mailboxes | ForEach-Object { $_.ExternalDirectoryObjectId } | Sort-Object)
function Get-Found([string] $RecipientFilter) { @(Get-Recipient -Filter $RecipientFilter -ResultSize 100) }
function Get-Id($Recipients) { @($Recipients | ForEach-Object { $_.ExternalDirectoryObjectId } | Sort-Object) }
function Get-Address($Recipients) { @($Recipients | Select-Object -First 5 | ForEach-Object { $_.PrimarySmtpAddress }) -join ', ' }
$found = @(Get-Found $filter)
if (((Get-Id $found) -join ' ') -ne ($expected -join ' ')) {
    throw "The filter for the scope finds $($found.Count) recipients ($(Get-Address $found)) and not exactly $($MailFrom -join ', '). Nothing was changed. The filter is: $filter"
}

$principal = Get-OwnServicePrincipal | Select-Object -First 1
if ($principal -and $principal.ObjectId -ne $PrincipalId) {
    throw "Exchange knows the client id $ClientId as the identity $($principal.ObjectId), which was deleted. Run this with -Revoke, then again."
}
if ($principal) {
    $wide = @(Test-ServicePrincipalAuthorization -Identity $principal.ObjectId -WhatIf:$false |
            Where-Object { $_.GrantedPermissions -match '\bMail\.Send\b' -and $_.ScopeType -eq 'Organization' })
    if ($wide) {
        throw "The identity holds $(@($wide | ForEach-Object { $_.RoleName }) -join ', ') without a scope: it sends as every mailbox. Find the assignment with Get-ManagementRoleAssignment | Where-Object RoleAssignee -EQ $PrincipalId, remove it with Remove-ManagementRoleAssignment, and run this again."
    }
}
$scope = Get-OwnScope | Select-Object -First 1
# A scope may have more mailboxes: azd asks for MAIL_FROM alone, after an admin has added those of EmailFrom.
$scoped = @(if ($scope) { Get-Found $scope.RecipientFilter })
$others = @($scoped | Where-Object ExternalDirectoryObjectId -NotIn $expected)
$isNarrow = $scope -and @($expected | Where-Object { $_ -notin (Get-Id $scoped) })
if ($isNarrow -and $others) {
    throw "There is a scope $Name for $(Get-Address $others), and not for all of $($MailFrom -join ', '). Give all mailboxes with -MailFrom; or run this with -Revoke, then again."
}
if ($others) { Write-Warning "The identity may also send as $(Get-Address $others), by the scope $Name. If it should not: run this with -Revoke, then again." }
$assignment = Get-OwnAssignment | Select-Object -First 1
if ($assignment -and ("$($assignment.CustomResourceScope)" -split '[\\/]')[-1] -ne $Name) {
    throw "There is an assignment $Name with the scope '$($assignment.CustomResourceScope)'. Run this with -Revoke, then again; or give another -Name."
}

# A new tenant has to be told once that it will be customised.
if ((Get-OrganizationConfig).IsDehydrated -and $PSCmdlet.ShouldProcess('Exchange Online', 'Enable the organization customization')) {
    Enable-OrganizationCustomization -Confirm:$false
    Get-Line 'enabled' 'the organization customization'
}
if ($principal) { Get-Line 'has' "the identity $PrincipalId" }
elseif ($PSCmdlet.ShouldProcess($PrincipalId, 'Make the identity known to Exchange')) {
    New-ServicePrincipal -AppId $ClientId -ObjectId $PrincipalId -DisplayName $identity.DisplayName -Confirm:$false | Out-Null
    Get-Line 'made' "the identity $PrincipalId"
}
if ($isNarrow) {
    if ($PSCmdlet.ShouldProcess($Name, "Change the scope: $filter")) {
        Set-ManagementScope -Identity $Name -RecipientRestrictionFilter $filter -Confirm:$false
        Get-Line 'changed' "the scope $Name"
    }
}
elseif ($scope) { Get-Line 'has' "the scope $Name" }
elseif ($PSCmdlet.ShouldProcess($Name, "Make the scope: $filter")) {
    New-ManagementScope -Name $Name -RecipientRestrictionFilter $filter -Confirm:$false | Out-Null
    Get-Line 'made' "the scope $Name"
}
if ($assignment) { Get-Line 'has' "the assignment $Name" }
elseif ($PSCmdlet.ShouldProcess($PrincipalId, "Assign $role in the scope $Name")) {
    New-ManagementRoleAssignment -Name $Name -Role $role -App $PrincipalId -CustomResourceScope $Name -Confirm:$false | Out-Null
    Get-Line 'made' "the assignment $Name"
}
if ($WhatIfPreference) { return }

# Exchange may take a minute until it sees what was made. This test asks past the cache that decides about mails.
function Test-MailSend([string] $Address) {
    $rows = @(Test-ServicePrincipalAuthorization -Identity $PrincipalId -Resource $Address)
    [bool] ($rows | Where-Object { $_.GrantedPermissions -match '\bMail\.Send\b' -and "$($_.InScope)" -eq 'True' })
}
foreach ($address in $mailboxes | ForEach-Object { $_.PrimarySmtpAddress }) {
    for ($attempt = 1; $true; $attempt++) {
        $answer = ''
        try { if (Test-MailSend $address) { break } }
        catch { $answer = " Exchange says: $_" }
        if ($attempt -eq 6) {
            throw "The identity may not send as ${address}: Exchange does not apply the assignment $Name. Wait some minutes and run this again; if that does not help, run it with -Revoke, then again.$answer"
        }
        Start-Sleep -Seconds 10
    }
    Get-Line 'may send as' $address
}
if (-not $ForeignMailbox) {
    $ForeignMailbox = Get-EXOMailbox -ResultSize 20 | Where-Object ExternalDirectoryObjectId -NotIn ($expected + (Get-Id $scoped)) |
        Select-Object -First 1 | ForEach-Object { $_.PrimarySmtpAddress }
}
if (-not $ForeignMailbox) { Write-Warning 'Not tested: that the identity may not send as another mailbox. The tenant shows none; give -ForeignMailbox.' }
elseif (Test-MailSend $ForeignMailbox) {
    throw "The identity may also send as $ForeignMailbox. Look for what permits it: Test-ServicePrincipalAuthorization -Identity $PrincipalId -Resource $ForeignMailbox. Until it is removed, stop the function app."
}
else { Get-Line 'may not send as' $ForeignMailbox }
Write-Warning 'Exchange decides about mails by a cache that can be two hours old, and each try keeps an old refusal alive: send nothing for half an hour.'
