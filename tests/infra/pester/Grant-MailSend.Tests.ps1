BeforeAll {
    . "$PSScriptRoot/Stubs.ps1"
    $script = Resolve-Path "$PSScriptRoot/../../../infra/Grant-MailSend.ps1"
    $ourObject = 'bbbbbbbb-1111-4111-8111-bbbbbbbbbbbb'
    $ourClient = 'dddddddd-1111-4111-8111-dddddddddddd'
    $own = 'firstpass-dddddddd'
    $both = @{ PrincipalId = $ourObject; ClientId = $ourClient }
    $grant = $both + @{ MailFrom = 'welcome@contoso.com' }

    function New-Mailbox([string] $Address, [string] $Id, [string] $Kind = 'SharedMailbox') {
        [pscustomobject]@{ PrimarySmtpAddress = $Address; ExternalDirectoryObjectId = $Id; RecipientTypeDetails = $Kind }
    }
    function Get-Matching([string] $RecipientFilter) {
        $ids = [regex]::Matches($RecipientFilter, "ExternalDirectoryObjectId -eq '([^']+)'") | ForEach-Object { $_.Groups[1].Value }
        $exchangeOnline.Mailboxes | Where-Object ExternalDirectoryObjectId -In $ids
    }
    # What Exchange answers about mailboxes: each assignment, with its scope.
    function Get-Authorization([string] $Address) {
        foreach ($assignment in @($exchangeOnline.Assignments | Where-Object RoleAssignee -EQ $ourObject)) {
            $scope = $exchangeOnline.Scopes | Where-Object Name -EQ $assignment.CustomResourceScope
            $in = -not $assignment.CustomResourceScope -or ($scope -and (Get-Matching $scope.RecipientFilter | Where-Object PrimarySmtpAddress -EQ $Address))
            [pscustomobject]@{
                RoleName             = $assignment.Role
                GrantedPermissions   = $assignment.Role -replace 'Application '
                AllowedResourceScope = $assignment.CustomResourceScope ? $assignment.CustomResourceScope : 'Organization'
                ScopeType            = $assignment.CustomResourceScope ? 'CustomRecipientScope' : 'Organization'
                InScope              = $Address ? [string] [bool] $in : 'Not Run'
            }
        }
    }
    function Add-Assignment([string] $Name, [string] $Scope, [string] $App = $ourObject, [string] $Role = 'Application Mail.Send') {
        $exchangeOnline.Assignments.Add([pscustomobject]@{ Name = $Name; Role = $Role; RoleAssignee = $App; CustomResourceScope = $Scope })
    }
    function Add-Scope([string] $Name, [string] $Filter) { $exchangeOnline.Scopes.Add([pscustomobject]@{ Name = $Name; RecipientFilter = $Filter }) }
    function Add-Principal([string] $ObjectId = $ourObject, [string] $AppId = $ourClient) {
        $exchangeOnline.Principals.Add([pscustomobject]@{ AppId = $AppId; ObjectId = $ObjectId; DisplayName = 'firstpass' })
    }
    $changes = 'Enable-OrganizationCustomization', 'New-ServicePrincipal', 'New-ManagementScope', 'Set-ManagementScope', 'New-ManagementRoleAssignment', 'Remove-ServicePrincipal', 'Remove-ManagementScope', 'Remove-ManagementRoleAssignment'
    function Assert-NothingChanged { foreach ($command in $changes) { Should -Invoke $command -Times 0 -Exactly } }
}

Describe 'Grant-MailSend.ps1' {
    BeforeEach {
        $exchangeOnline = @{
            Connected   = $false
            Dehydrated  = $false
            Delay       = 0
            Mailboxes   = @((New-Mailbox 'welcome@contoso.com' 'id-1'), (New-Mailbox 'help@contoso.com' 'id-2'), (New-Mailbox 'ceo@contoso.com' 'id-3' 'UserMailbox'))
            Principals  = [Collections.Generic.List[object]]::new()
            Scopes      = [Collections.Generic.List[object]]::new()
            Assignments = [Collections.Generic.List[object]]::new()
            AppRoles    = @()
        }
        # Other apps of the tenant: listed with ours, and not ours.
        Add-Principal 'another' 'another'
        Add-Scope 'another' "ExternalDirectoryObjectId -eq 'id-3'"
        Add-Assignment 'another' 'another' 'another'

        Mock Connect-MgGraph { }
        Mock Get-MgContext { }
        Mock Get-MgServicePrincipal { [pscustomobject]@{ Id = $ServicePrincipalId; AppId = $ourClient; DisplayName = 'firstpass-identity' } }
        Mock Get-MgServicePrincipalAppRoleAssignment { $exchangeOnline.AppRoles } -ParameterFilter { $ServicePrincipalId -eq $ourObject -and $All }
        Mock Connect-ExchangeOnline { $exchangeOnline.Connected = $true }
        Mock Get-ConnectionInformation { if ($exchangeOnline.Connected) { [pscustomobject]@{ State = 'Connected' } } }
        Mock Get-EXOMailbox {
            if (-not $Identity) { return $exchangeOnline.Mailboxes }
            $found = @($exchangeOnline.Mailboxes | Where-Object PrimarySmtpAddress -EQ $Identity)
            if (-not $found) { throw "The operation couldn't be performed because object '$Identity' couldn't be found" }
            $found
        }
        Mock Get-Recipient { Get-Matching $Filter } -ParameterFilter { $Filter }
        Mock Get-OrganizationConfig { [pscustomobject]@{ IsDehydrated = $exchangeOnline.Dehydrated } }
        Mock Enable-OrganizationCustomization { if (-not $exchangeOnline.Dehydrated) { throw 'already enabled' } $exchangeOnline.Dehydrated = $false }
        Mock Get-ServicePrincipal { $exchangeOnline.Principals }
        Mock New-ServicePrincipal { Add-Principal $ObjectId $AppId }
        Mock Remove-ServicePrincipal { $exchangeOnline.Principals.RemoveAll({ param($each) $each.ObjectId -eq $Identity }) }
        Mock Get-ManagementScope { $exchangeOnline.Scopes }
        Mock New-ManagementScope { Add-Scope $Name $RecipientRestrictionFilter }
        Mock Set-ManagementScope { ($exchangeOnline.Scopes | Where-Object Name -EQ $Identity).RecipientFilter = $RecipientRestrictionFilter }
        Mock Remove-ManagementScope {
            if ($exchangeOnline.Assignments | Where-Object CustomResourceScope -EQ $Identity) { throw 'the scope is in use' }
            $exchangeOnline.Scopes.RemoveAll({ param($each) $each.Name -eq $Identity })
        }
        Mock Get-ManagementRoleAssignment {
            if ($RoleAssignee) { throw 'documented for a role group, an assignment policy, a user or a security group' }
            $exchangeOnline.Assignments | Where-Object { -not $Role -or $_.Role -eq $Role }
        }
        Mock New-ManagementRoleAssignment {
            if ($App -notin $exchangeOnline.Principals.ObjectId -or $CustomResourceScope -notin $exchangeOnline.Scopes.Name) { throw 'not found' }
            Add-Assignment $Name $CustomResourceScope $App $Role
        }
        Mock Remove-ManagementRoleAssignment { $exchangeOnline.Assignments.RemoveAll({ param($each) $each.Name -eq $Identity }) }
        Mock Test-ServicePrincipalAuthorization {
            if ($Resource -and $exchangeOnline.Delay-- -gt 0) {
                if ($exchangeOnline.Delay % 2) { throw "The service principal '$Identity' couldn't be found" }
                return
            }
            Get-Authorization $Resource
        }
        Mock Start-Sleep { }
        Mock Write-Warning { }
    }

    It 'permits the mailbox in a first run, and changes nothing in a second' {
        $exchangeOnline.Dehydrated = $true
        $exchangeOnline.Delay = 2
        $lines = & $script @grant
        ($lines | ForEach-Object { "$($_.Action) $($_.What)" }) -join '; ' | Should -Be (
            "enabled the organization customization; made the identity $ourObject; made the scope $own; made the assignment $own; " +
            'may send as welcome@contoso.com; may not send as help@contoso.com')
        Should -Invoke New-ManagementScope -ParameterFilter { $RecipientRestrictionFilter -eq "ExternalDirectoryObjectId -eq 'id-1'" }
        Should -Invoke New-ServicePrincipal -ParameterFilter { $AppId -eq $ourClient -and $ObjectId -eq $ourObject }
        Should -Invoke New-ManagementRoleAssignment -ParameterFilter { $Role -eq 'Application Mail.Send' -and $App -eq $ourObject -and $CustomResourceScope -eq $own }
        Should -Invoke Start-Sleep -Times 2 -Exactly
        Should -Invoke Write-Warning -ParameterFilter { $Message -like '*two hours*half an hour*' }
        (& $script @grant).Action | Should -Be @('has', 'has', 'has', 'may send as', 'may not send as')
        foreach ($command in 'Enable-OrganizationCustomization', 'New-ServicePrincipal', 'New-ManagementScope', 'New-ManagementRoleAssignment', 'Connect-ExchangeOnline') {
            Should -Invoke $command -Times 1 -Exactly
        }
    }

    It 'stops at the first error, also of a function in a module' {
        $moduleOfExchange = New-Module {
            function New-ManagementScope { [CmdletBinding(SupportsShouldProcess)] param($Name, $RecipientRestrictionFilter) Write-Error 'no rights' }
        }
        Mock New-ManagementScope { & $moduleOfExchange { param($Bound) New-ManagementScope @Bound } $PesterBoundParameters }
        { & $script @grant } | Should -Throw 'no rights'
        Should -Invoke New-ManagementRoleAssignment -Times 0 -Exactly
    }

    It 'completes a run that ended after <After>' -ForEach @(@{ After = 'the identity' }, @{ After = 'the scope' }) {
        Add-Principal
        if ($After -eq 'the scope') { Add-Scope $own "((ExternalDirectoryObjectId -eq 'id-1'))" }
        (& $script @grant).Action | Should -Contain 'may send as'
        Should -Invoke New-ServicePrincipal -Times 0 -Exactly
        Should -Invoke New-ManagementRoleAssignment -Times 1 -Exactly
        Should -Invoke New-ManagementScope -Times ($After -eq 'the identity' ? 1 : 0) -Exactly
    }

    It 'permits several mailboxes, and warns of one that a person reads' {
        $lines = & $script @both -MailFrom 'welcome@contoso.com, ceo@contoso.com' -ForeignMailbox help@contoso.com
        @($lines | Where-Object Action -EQ 'may send as').What | Should -Be @('welcome@contoso.com', 'ceo@contoso.com')
        Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like 'ceo@contoso.com is a UserMailbox*nobody reads*' }
        (& $script @both -MailFrom 'ceo@contoso.com', 'welcome@contoso.com').Action | Should -Not -Contain 'made'
    }

    It 'adds a mailbox for EmailFrom, and keeps it when azd asks for MAIL_FROM alone' {
        & $script @grant | Out-Null
        (& $script @both -MailFrom 'welcome@contoso.com', 'help@contoso.com').Action |
            Should -Be @('has', 'changed', 'has', 'may send as', 'may send as', 'may not send as')
        # What infra/hooks/postprovision.* call at every `azd provision` and `azd up`: FIRSTPASS_MAIL_FROM is MAIL_FROM only.
        $lines = & $script @grant
        ($lines | ForEach-Object { "$($_.Action) $($_.What)" }) -join '; ' |
            Should -Be "has the identity $ourObject; has the scope $own; has the assignment $own; may send as welcome@contoso.com; may not send as ceo@contoso.com"
        Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like '*may also send as help@contoso.com*-Revoke*' }
        Should -Invoke Set-ManagementScope -Times 1 -Exactly
    }

    It 'only reads with -WhatIf<Also>' -ForEach @(@{ Also = '' }, @{ Also = ' and -Revoke' }) {
        $exchangeOnline.Dehydrated = $true
        if ($Also) {
            Add-Principal; Add-Scope $own "ExternalDirectoryObjectId -eq 'id-1'"; Add-Assignment $own $own
            & $script @both -Revoke -WhatIf | Should -BeNullOrEmpty
        }
        else { & $script @grant -WhatIf | Should -BeNullOrEmpty }
        Assert-NothingChanged
        Should -Invoke Connect-ExchangeOnline -Times 1 -Exactly -ParameterFilter { $ExchangeEnvironmentName -eq 'O365Default' }
    }

    It 'takes everything back with -Revoke, and nothing of others, and again nothing' {
        & $script @grant | Out-Null
        (& $script @both -Revoke).What | Should -Be @("the assignment $own", "the scope $own", "the identity $ourObject")
        @($exchangeOnline.Principals.ObjectId) + $exchangeOnline.Scopes.Name + $exchangeOnline.Assignments.Name | Should -Be @('another', 'another', 'another')
        & $script @both -Revoke | Should -BeNullOrEmpty
        Should -Invoke Get-MgServicePrincipal -Times 1 -Exactly
    }

    It 'keeps an identity that has other assignments' {
        & $script @grant | Out-Null
        Add-Assignment 'calendar' 'another' $ourObject 'Application Calendars.Read'
        & $script @both -Revoke | Out-Null
        $exchangeOnline.Principals.ObjectId | Should -Contain $ourObject
        Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like '*other assignments use it: calendar*' }
    }

    Context 'refuses' {
        AfterEach { Assert-NothingChanged }

        It 'while Mail.Send stands for the whole tenant' {
            $exchangeOnline.AppRoles = @([pscustomobject]@{ Id = 'grant-1'; AppRoleId = 'b633e1c5-b582-4048-a93e-9f11b44c7e96' })
            { & $script @grant } | Should -Throw '*holds Mail.Send*the scope limits nothing*-AppRoleAssignmentId grant-1*'
        }
        It 'while an assignment in Exchange has no scope' {
            Add-Principal; Add-Assignment 'old' ''
            { & $script @grant } | Should -Throw '*holds Application Mail.Send without a scope*Remove-ManagementRoleAssignment*'
        }
        It 'ids of two identities' {
            Mock Get-MgServicePrincipal { [pscustomobject]@{ AppId = 'other'; DisplayName = 'other' } }
            { & $script @grant } | Should -Throw '*has the client id other, not*'
        }
        It 'an identity that was deleted' {
            Add-Principal 'old-object'
            { & $script @grant } | Should -Throw '*old-object, which was deleted*-Revoke*'
        }
        It 'a mailbox that does not exist' {
            { & $script @both -MailFrom nobody@contoso.com } | Should -Throw '*no mailbox nobody@contoso.com*shared mailbox*'
        }
        It 'a filter that finds something else' {
            Mock Get-Recipient { $exchangeOnline.Mailboxes } -ParameterFilter { $Filter }
            { & $script @grant } | Should -Throw '*finds 3 recipients*not exactly welcome@contoso.com*'
        }
        It 'a scope of the same name for another mailbox' {
            Add-Scope $own "ExternalDirectoryObjectId -eq 'id-3'"
            { & $script @grant } | Should -Throw '*scope firstpass-dddddddd*ceo@contoso.com*-Revoke*'
        }
        It 'an assignment of the same name with another scope' {
            Add-Principal; Add-Assignment $own 'another'
            { & $script @grant } | Should -Throw "*assignment $own with the scope 'another'*-Revoke*"
        }
        It 'to use or remove an assignment of the same name of another app' {
            Add-Principal; Add-Scope $own "ExternalDirectoryObjectId -eq 'id-1'"; Add-Assignment $own $own 'another'
            { & $script @grant } | Should -Throw '*belongs to another app*another -Name*'
            { & $script @both -Revoke } | Should -Throw '*belongs to another app*another -Name*'
        }
        It 'to run without <_>' -ForEach @('ExchangeOnlineManagement', 'Microsoft.Graph.Applications') {
            $missing = @{ 'ExchangeOnlineManagement' = 'Connect-ExchangeOnline'; 'Microsoft.Graph.Applications' = 'Get-MgServicePrincipal' }[$_]
            Mock Get-Command { $true }
            Mock Get-Command { } -ParameterFilter { $Name -eq $missing }
            { & $script @grant } | Should -Throw "*Install-Module $_*"
        }
    }

    It 'fails if Exchange does not apply the assignment' {
        $exchangeOnline.Delay = 101
        { & $script @grant } | Should -Throw '*may not send as welcome@contoso.com*-Revoke*couldn''t be found*'
    }

    It 'fails if the identity may send as a foreign mailbox too' {
        Add-Principal; Add-Assignment 'wide' 'another'
        { & $script @grant -ForeignMailbox ceo@contoso.com } | Should -Throw '*may also send as ceo@contoso.com*stop the function app*'
    }

    It 'says so if there is no foreign mailbox to test with' {
        $exchangeOnline.Mailboxes = @($exchangeOnline.Mailboxes[0])
        (& $script @grant).Action | Should -Not -Contain 'may not send as'
        Should -Invoke Write-Warning -Times 1 -Exactly -ParameterFilter { $Message -like 'Not tested*' }
    }
}
