BeforeDiscovery {
    # One way to make passes at a time.
    $script:conflicts = @(
        @{ Held = 'permission'; Mode = 'Role'; Unit = $null; Words = '*would limit nothing*-Revoke -Features passes*' }
        @{ Held = 'role at /'; Mode = 'Permissions'; Unit = $null; Words = '*role Authentication Administrator at /,*-Revoke*' }
        @{ Held = 'role at /'; Mode = 'Role'; Unit = 'cccccccc-1111-4111-8111-cccccccccccc'; Words = '*at /,*-Revoke*' }
    )
}
BeforeAll {
    . "$PSScriptRoot/Stubs.ps1"
    $root = Resolve-Path "$PSScriptRoot/../../.."
    $script = "$root/infra/Grant-Permissions.ps1"
    $list = Get-Content -Raw "$root/infra/permissions.json" | ConvertFrom-Json -AsHashtable
    $principal = 'bbbbbbbb-1111-4111-8111-bbbbbbbbbbbb'
    $unit = 'cccccccc-1111-4111-8111-cccccccccccc'
    $byName = @{}
    $list.permissions + $list.never | ForEach-Object { $byName[$_.permission] = $_.id }

    function Get-Needed([string[]] $Features) {
        @($list.permissions | Where-Object { $_.features | Where-Object { $_ -in $Features } } | ForEach-Object permission | Sort-Object)
    }
    function Get-Granted {
        @($tenant.Assignments | Where-Object ResourceId -EQ 'graph' |
                ForEach-Object { $id = $_.AppRoleId; $byName.GetEnumerator() | Where-Object Value -EQ $id | ForEach-Object Key } | Sort-Object)
    }
    function Add-Grant([string] $Name, [string] $Resource = 'graph') {
        $tenant.Assignments.Add([pscustomobject]@{ Id = "$Name at $Resource"; ResourceId = $Resource; AppRoleId = $byName[$Name] })
    }
    function Add-Role([string] $Scope, [string] $Role = $list.role.id) {
        $tenant.Roles.Add([pscustomobject]@{ Id = "$Role at $Scope"; RoleDefinitionId = $Role; DirectoryScopeId = $Scope })
    }
    function Assert-NothingChanged {
        foreach ($command in 'New-MgServicePrincipalAppRoleAssignment', 'Remove-MgServicePrincipalAppRoleAssignment', 'New-MgRoleManagementDirectoryRoleAssignment', 'Remove-MgRoleManagementDirectoryRoleAssignment') {
            Should -Invoke $command -Times 0 -Exactly
        }
    }
}

Describe 'Grant-Permissions.ps1' {
    BeforeEach {
        $tenant = @{
            Scopes      = $null
            Assignments = [Collections.Generic.List[object]]::new()
            Roles       = [Collections.Generic.List[object]]::new()
            AppRoles    = @($list.permissions + $list.never | ForEach-Object {
                    [pscustomobject]@{ Id = $_.id; Value = $_.permission; IsEnabled = $true; AllowedMemberTypes = @('Application') }
                })
        }
        Mock Connect-MgGraph { $tenant.Scopes = $Scopes }
        Mock Get-MgContext { if ($tenant.Scopes) { [pscustomobject]@{ Scopes = $tenant.Scopes; TenantId = 'contoso' } } }
        Mock Get-MgServicePrincipal { [pscustomobject]@{ Id = $ServicePrincipalId; DisplayName = 'firstpass' } } -ParameterFilter { $ServicePrincipalId -eq $principal }
        Mock Get-MgServicePrincipal { [pscustomobject]@{ Id = 'graph'; AppRoles = $tenant.AppRoles } } -ParameterFilter { $Filter -eq "appId eq '00000003-0000-0000-c000-000000000000'" }
        Mock Get-MgServicePrincipalAppRoleAssignment { $tenant.Assignments } -ParameterFilter { $ServicePrincipalId -eq $principal -and $All }
        Mock Get-MgRoleManagementDirectoryRoleAssignment { $tenant.Roles } -ParameterFilter { $Filter -eq "principalId eq '$principal'" -and $All }
        Mock New-MgServicePrincipalAppRoleAssignment {
            if ($ServicePrincipalId -ne $principal -or $PrincipalId -ne $principal) { throw 'another identity' }
            if ($tenant.Assignments | Where-Object { $_.AppRoleId -eq $AppRoleId -and $_.ResourceId -eq $ResourceId }) { throw 'Permission being assigned already exists on the object' }
            $tenant.Assignments.Add([pscustomobject]@{ Id = [guid]::NewGuid().ToString(); ResourceId = $ResourceId; AppRoleId = $AppRoleId })
        }
        Mock Remove-MgServicePrincipalAppRoleAssignment {
            if ($tenant.Assignments.RemoveAll({ param($each) $each.Id -eq $AppRoleAssignmentId }) -ne 1) { throw "no assignment $AppRoleAssignmentId" }
        }
        Mock New-MgRoleManagementDirectoryRoleAssignment { Add-Role $DirectoryScopeId $RoleDefinitionId }
        Mock Remove-MgRoleManagementDirectoryRoleAssignment {
            if ($tenant.Roles.RemoveAll({ param($each) $each.Id -eq $UnifiedRoleAssignmentId }) -ne 1) { throw "no assignment $UnifiedRoleAssignmentId" }
        }
        Mock Start-Sleep { }
        Mock Write-Warning { }
    }

    It 'grants what <_> need in a first run, and nothing in a second' -ForEach @('', 'sign-ins', 'event-grid, domains') {
        $features = $_ ? @{ Features = $_ } : @{}
        $expected = Get-Needed (@('passes', 'guard') + ($_ ? ($_ -split ', ') : 'methods'))
        $lines = & $script -PrincipalId $principal @features
        Get-Granted | Should -Be $expected
        $lines.Action | Should -Be (@('granted') * $expected.Count)
        Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like '*up to a day*' }
        $lines = & $script -PrincipalId $principal @features
        $lines.Action | Should -Be (@('has') * $expected.Count)
        Should -Invoke New-MgServicePrincipalAppRoleAssignment -Times $expected.Count -Exactly
        Should -Invoke Connect-MgGraph -Times 1 -Exactly
        $tenant.Roles | Should -BeNullOrEmpty
    }

    It 'completes a half-done run' {
        Add-Grant 'User.Read.All'
        # The same id at another resource is another permission.
        Add-Grant 'GroupMember.Read.All' 'another'
        & $script -PrincipalId $principal | Out-Null
        Get-Granted | Should -Be (Get-Needed 'passes', 'guard', 'methods')
    }

    It 'takes what was granted meanwhile for granted' {
        Mock New-MgServicePrincipalAppRoleAssignment { throw '[Request_BadRequest] : Permission being assigned already exists on the object' }
        (& $script -PrincipalId $principal).Action | Should -Not -BeNullOrEmpty
    }

    It 'only reads with -WhatIf, also with <_>' -ForEach @('features', 'Role', 'Revoke') {
        Add-Grant 'Group.Read.All'
        $more = @{ features = @{ Features = 'sign-ins' }; Role = @{ Mode = 'Role' }; Revoke = @{ Revoke = $true } }[$_]
        & $script -PrincipalId $principal -WhatIf @more | Should -BeNullOrEmpty
        Assert-NothingChanged
        $tenant.Scopes | Should -Be @('Application.Read.All', 'RoleManagement.Read.Directory')
    }

    It 'asks for the rights that it needs' {
        & $script -PrincipalId $principal | Out-Null
        $tenant.Scopes | Should -Be @('Application.Read.All', 'RoleManagement.Read.Directory', 'AppRoleAssignment.ReadWrite.All')
        & $script -PrincipalId $principal -Revoke -Environment USGov
        $tenant.Scopes | Should -Contain 'RoleManagement.ReadWrite.Directory'
        Should -Invoke Connect-MgGraph -Times 1 -Exactly -ParameterFilter { $Environment -eq 'USGov' -and $NoWelcome }
    }

    It 'assigns the role at <Scope> instead of the permission' -ForEach @(
        @{ More = @{}; Scope = '/' }
        @{ More = @{ AdministrativeUnit = 'cccccccc-1111-4111-8111-cccccccccccc' }; Scope = '/administrativeUnits/cccccccc-1111-4111-8111-cccccccccccc' }
    ) {
        & $script -PrincipalId $principal -Mode Role @More | Out-Null
        Get-Granted | Should -Be (Get-Needed 'passes', 'guard', 'methods' | Where-Object { $_ -ne 'UserAuthMethod-TAP.ReadWrite.All' })
        Should -Invoke New-MgRoleManagementDirectoryRoleAssignment -Times 1 -Exactly -ParameterFilter {
            $DirectoryScopeId -eq $Scope -and $PrincipalId -eq $principal -and $RoleDefinitionId -eq 'c4e39bd9-1100-46d3-8c65-fb160da0071f'
        }
        (& $script -PrincipalId $principal -Mode Role @More).Action | Sort-Object -Unique | Should -Be 'has'
        Should -Invoke New-MgRoleManagementDirectoryRoleAssignment -Times 1 -Exactly
    }

    It 'refuses mode <Mode> for an identity with the <Held>' -ForEach $conflicts {
        if ($Held -eq 'permission') { Add-Grant 'UserAuthMethod-TAP.ReadWrite.All' } else { Add-Role '/' }
        $more = $Unit ? @{ AdministrativeUnit = $Unit } : @{}
        { & $script -PrincipalId $principal -Mode $Mode @more } | Should -Throw $Words
        Assert-NothingChanged
        & $script -PrincipalId $principal -Revoke -Features passes | Out-Null
        & $script -PrincipalId $principal -Mode $Mode @more | Out-Null
    }

    It 'leaves other roles alone' {
        Add-Role '/' 'another'
        & $script -PrincipalId $principal | Out-Null
        & $script -PrincipalId $principal -Revoke | Out-Null
        $tenant.Roles.RoleDefinitionId | Should -Be 'another'
    }

    It 'takes back what -Revoke names, and everything without names' {
        foreach ($each in $list.permissions + $list.never) { Add-Grant $each.permission }
        Add-Grant 'User.Read.All' 'another'
        Add-Role '/'
        $lines = & $script -PrincipalId $principal -Revoke -Features event-grid, doctor
        $lines.Permission | Sort-Object | Should -Be @('Group.Read.All', 'Policy.Read.ConditionalAccess')
        $tenant.Roles.Count | Should -Be 1
        (& $script -PrincipalId $principal -Revoke).Action | Sort-Object -Unique | Should -Be @('removed', 'revoked')
        Get-Granted | Should -BeNullOrEmpty
        $tenant.Roles | Should -BeNullOrEmpty
        $tenant.Assignments.ResourceId | Should -Be 'another'
        & $script -PrincipalId $principal -Revoke | Should -BeNullOrEmpty
        Should -Invoke Write-Warning -ParameterFilter { $Message -like '*stop the function app*' }
    }

    It 'says what is too much' {
        Add-Grant 'Mail.Send'
        Add-Grant 'Domain.Read.All'
        $tenant.Assignments.Add([pscustomobject]@{ Id = 'x'; ResourceId = 'graph'; AppRoleId = 'unknown' })
        & $script -PrincipalId $principal | Out-Null
        foreach ($words in '*Mail.Send: it permits every mailbox*', '*Domain.Read.All: these features*', '*holds unknown:*-AppRoleAssignmentId x') {
            Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like $words }
        }
        Get-Granted | Should -Contain 'Mail.Send'
    }

    It 'waits for an identity that Graph does not know yet, but not for ever' {
        $tenant.Misses = 3
        Mock Get-MgServicePrincipal {
            if ($tenant.Misses-- -gt 0) { throw "[Request_ResourceNotFound] : Resource '$ServicePrincipalId' does not exist" }
            [pscustomobject]@{ Id = $ServicePrincipalId; DisplayName = 'firstpass' }
        } -ParameterFilter { $ServicePrincipalId -eq $principal }
        & $script -PrincipalId $principal | Out-Null
        Should -Invoke Start-Sleep -Times 3 -Exactly
        $tenant.Misses = 99
        { & $script -PrincipalId $principal } | Should -Throw '*no identity with the object id*not its client id*'
    }

    It 'refuses <Words>' -ForEach @(
        @{ Arguments = @{ Features = 'sign-in' }; Words = '*Unknown features: sign-in*sign-ins: JOINER_CHECK*' }
        @{ Arguments = @{ AdministrativeUnit = 'cccccccc-1111-4111-8111-cccccccccccc' }; Words = '*needs -Mode Role*' }
    ) {
        { & $script -PrincipalId $principal @Arguments } | Should -Throw $Words
        Should -Invoke Connect-MgGraph -Times 0 -Exactly
    }

    It 'says which module is missing' {
        Mock Get-Command { $true }
        Mock Get-Command { } -ParameterFilter { $Name -eq 'Get-MgRoleManagementDirectoryRoleAssignment' }
        { & $script -PrincipalId $principal } | Should -Throw '*Install-Module*Microsoft.Graph.Identity.Governance*'
    }

    It 'says who may do it' {
        Mock New-MgServicePrincipalAppRoleAssignment { throw '[Authorization_RequestDenied] : Insufficient privileges to complete the operation.' }
        { & $script -PrincipalId $principal } | Should -Throw '*Granting User.Read.All failed*Privileged Role Administrator*run this again*Insufficient*'
    }

    It 'grants nothing in a cloud that lacks a permission' {
        $tenant.AppRoles[0].IsEnabled = $false
        { & $script -PrincipalId $principal } | Should -Throw '*does not have these application permissions*User.Read.All*'
        Assert-NothingChanged
    }
}
