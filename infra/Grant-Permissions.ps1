#Requires -Version 7.0
<#
.SYNOPSIS
Grants the app's managed identity what its features need in Microsoft Graph, by infra/permissions.json, and nothing else.

.DESCRIPTION
Run it before the app asks for its first token: Azure keeps the token of a managed identity for about a day, and what is granted
meanwhile takes effect with the next one. Running it again changes nothing. Whoever runs it needs the role Privileged Role
Administrator, and the modules Microsoft.Graph.Applications and Microsoft.Graph.Identity.Governance.

.PARAMETER PrincipalId
The object id of the managed identity (output FIRSTPASS_PRINCIPAL_ID), not its client id.

.PARAMETER Features
What the app uses: the features in infra/permissions.json. Those that are required are always in. Default: the required and the default ones.

.PARAMETER Mode
Role assigns the role Authentication Administrator instead of UserAuthMethod-TAP.ReadWrite.All.

.PARAMETER AdministrativeUnit
Limits the role to this administrative unit.

.PARAMETER Revoke
Takes back the permissions of these features; without -Features, all of them and the role.

.PARAMETER Environment
The cloud, as Connect-MgGraph names it.

.EXAMPLE
infra/Grant-Permissions.ps1 -PrincipalId $id -Features methods, sign-ins -WhatIf
#>
[CmdletBinding(SupportsShouldProcess)]
param(
    [Parameter(Mandatory)] [guid] $PrincipalId,
    [string[]] $Features = @(),
    [ValidateSet('Permissions', 'Role')] [string] $Mode = 'Permissions',
    [Nullable[guid]] $AdministrativeUnit,
    [switch] $Revoke,
    [ValidateSet('Global', 'USGov', 'USGovDoD')] [string] $Environment = 'Global'
)
$ErrorActionPreference = 'Stop'
# A module's functions do not see the preference of this script: without this, an error there would be passed over.
$PSDefaultParameterValues = @{ '*:ErrorAction' = 'Stop' }
Set-StrictMode -Version 3.0

$list = Get-Content -Raw (Join-Path $PSScriptRoot 'permissions.json') | ConvertFrom-Json -AsHashtable
$roleName = $list.role.role
$named = @($Features -split ',' | ForEach-Object { $_.Trim() } | Where-Object { $_ })
$unknown = @($named | Where-Object { $_ -notin $list.features.Keys })
if ($unknown) {
    $known = $list.features.GetEnumerator() | ForEach-Object { "  $($_.Key): $($_.Value.about)" }
    throw "Unknown features: $($unknown -join ', '). There are:`n$($known -join "`n")"
}
if ($AdministrativeUnit -and $Mode -ne 'Role') {
    throw '-AdministrativeUnit needs -Mode Role: a permission cannot be limited to a unit.'
}
foreach ($command in 'Get-MgServicePrincipal', 'Get-MgRoleManagementDirectoryRoleAssignment') {
    if (-not (Get-Command $command -ErrorAction Ignore)) {
        throw "$command is missing: Install-Module Microsoft.Graph.Applications, Microsoft.Graph.Identity.Governance -Scope CurrentUser"
    }
}

# A dry run signs in without the right to change anything.
$scopes = @('Application.Read.All', 'RoleManagement.Read.Directory')
if (-not $WhatIfPreference) {
    $scopes += 'AppRoleAssignment.ReadWrite.All'
    if ($Revoke -or $Mode -eq 'Role') { $scopes += 'RoleManagement.ReadWrite.Directory' }
}
$context = Get-MgContext
if (-not $context -or @($scopes | Where-Object { $_ -notin $context.Scopes })) {
    Connect-MgGraph -Scopes $scopes -Environment $Environment -NoWelcome
    $context = Get-MgContext
}

# Runs a request that changes something, and explains a refusal.
function Invoke-Change([string] $What, [scriptblock] $Request) {
    try { & $Request | Out-Null }
    catch {
        $rights = $_ -match 'Authorization_RequestDenied|Insufficient privileges' ? ' It needs the role Privileged Role Administrator.' : ''
        throw "$What failed.$rights Nothing that was done is lost: run this again. Graph says: $_"
    }
}
function Get-Line([string] $Action, [string] $Permission) { [pscustomobject]@{ Action = $Action; Permission = $Permission } }

# A new identity appears in Graph after some seconds.
for ($attempt = 1; $true; $attempt++) {
    try {
        $identity = Get-MgServicePrincipal -ServicePrincipalId $PrincipalId
        break
    }
    catch {
        if ($_ -notmatch 'Request_ResourceNotFound|does not exist') { throw }
        if ($attempt -eq 6) {
            throw "Tenant $($context.TenantId) has no identity with the object id $PrincipalId. Give the object id of the managed identity (output FIRSTPASS_PRINCIPAL_ID), not its client id, and sign in to the identity's tenant."
        }
        Start-Sleep -Seconds 10
    }
}
$graph = Get-MgServicePrincipal -Filter "appId eq '$($list.resource)'"
$held = @(Get-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -All | Where-Object ResourceId -EQ $graph.Id)
$roles = @(Get-MgRoleManagementDirectoryRoleAssignment -Filter "principalId eq '$PrincipalId'" -All |
        Where-Object RoleDefinitionId -EQ $list.role.id)
$scope = $AdministrativeUnit ? "/administrativeUnits/$AdministrativeUnit" : '/'
Write-Verbose "$($identity.DisplayName), $PrincipalId, tenant $($context.TenantId)"

if ($Revoke) {
    $candidates = $named ? @($list.permissions | Where-Object { $_.features | Where-Object { $_ -in $named } }) : $list.permissions + $list.never
    foreach ($permission in $candidates) {
        foreach ($assignment in @($held | Where-Object AppRoleId -EQ $permission.id)) {
            if ($PSCmdlet.ShouldProcess($PrincipalId, "Revoke $($permission.permission)")) {
                Invoke-Change "Revoking $($permission.permission)" {
                    Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -AppRoleAssignmentId $assignment.Id -Confirm:$false
                }
                Get-Line 'revoked' $permission.permission
            }
        }
    }
    if (-not $named -or $named -contains 'passes') {
        foreach ($assignment in $roles) {
            if ($PSCmdlet.ShouldProcess($PrincipalId, "Remove the role $roleName at $($assignment.DirectoryScopeId)")) {
                Invoke-Change 'Removing the role' {
                    Remove-MgRoleManagementDirectoryRoleAssignment -UnifiedRoleAssignmentId $assignment.Id -Confirm:$false
                }
                Get-Line 'removed' "the role $roleName at $($assignment.DirectoryScopeId)"
            }
        }
    }
    if ($named) { Write-Warning 'A permission that other features share is gone too: run this without -Revoke, with the features that stay.' }
    Write-Warning 'A token that the app has works until it ends, for up to a day. To stop the app at once, stop the function app.'
    return
}

# The permission and the role add up: with both, the role limits nothing.
$undo = "Take that back first: Grant-Permissions.ps1 -PrincipalId $PrincipalId -Revoke -Features passes. Then run this again."
$instead = $list.permissions | Where-Object permission -EQ $list.role.instead_of
if ($Mode -eq 'Role' -and ($held | Where-Object AppRoleId -EQ $instead.id)) {
    throw "The identity holds $($instead.permission), which reaches every account, so the role would limit nothing. $undo"
}
$elsewhere = @($roles | Where-Object { $Mode -ne 'Role' -or $_.DirectoryScopeId -ne $scope })
if ($elsewhere) {
    throw "The identity holds the role $roleName at $($elsewhere.DirectoryScopeId -join ', '), which is not what is asked for. $undo"
}

$wanted = @($list.features.GetEnumerator() | Where-Object {
        $_.Value['required'] -or $_.Key -in $named -or (-not $named -and $_.Value['default'])
    } | ForEach-Object { $_.Key })
$needed = @($list.permissions | Where-Object { $_.features | Where-Object { $_ -in $wanted } } |
        Where-Object { $Mode -eq 'Permissions' -or $_.permission -ne $instead.permission })
$missing = @($needed | Where-Object {
        $permission = $_
        -not ($graph.AppRoles | Where-Object {
                $_.Id -eq $permission.id -and $_.Value -eq $permission.permission -and $_.IsEnabled -and $_.AllowedMemberTypes -contains 'Application'
            })
    })
if ($missing) {
    throw "Microsoft Graph of this cloud does not have these application permissions with the ids of permissions.json: $($missing.permission -join ', ')"
}

$changed = $false
foreach ($permission in $needed) {
    if ($held | Where-Object AppRoleId -EQ $permission.id) {
        Get-Line 'has' $permission.permission
        continue
    }
    if ($PSCmdlet.ShouldProcess($PrincipalId, "Grant $($permission.permission)")) {
        Invoke-Change "Granting $($permission.permission)" {
            try {
                New-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -PrincipalId $PrincipalId -ResourceId $graph.Id -AppRoleId $permission.id
            }
            catch { if ($_ -notmatch 'already exists') { throw } }
        }
        Get-Line 'granted' $permission.permission
        $changed = $true
    }
}
if ($Mode -eq 'Role') {
    if ($roles) {
        Get-Line 'has' "the role $roleName at $scope"
    }
    elseif ($PSCmdlet.ShouldProcess($PrincipalId, "Assign the role $roleName at $scope")) {
        Invoke-Change "Assigning the role $roleName" {
            New-MgRoleManagementDirectoryRoleAssignment -PrincipalId $PrincipalId -RoleDefinitionId $list.role.id -DirectoryScopeId $scope
        }
        Get-Line 'assigned' "the role $roleName at $scope"
        $changed = $true
    }
}

foreach ($assignment in @($held | Where-Object AppRoleId -NotIn $needed.id)) {
    $name = @($graph.AppRoles | Where-Object Id -EQ $assignment.AppRoleId | ForEach-Object { $_.Value }) + $assignment.AppRoleId | Select-Object -First 1
    $why = @($list.never | Where-Object id -EQ $assignment.AppRoleId | ForEach-Object { $_.reason }) + 'these features do not need it' | Select-Object -First 1
    Write-Warning "Too much: the identity also holds ${name}: $why. To remove it: Remove-MgServicePrincipalAppRoleAssignment -ServicePrincipalId $PrincipalId -AppRoleAssignmentId $($assignment.Id)"
}
if ($changed) {
    Write-Warning 'If the app has asked for a token before, it takes up to a day until it has the new permissions; a restart does not help.'
}
