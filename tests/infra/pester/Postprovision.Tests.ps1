BeforeAll {
    # The hook beside scripts that only say how they were called.
    New-Item -ItemType Directory -Path "$TestDrive/infra/hooks" | Out-Null
    Copy-Item (Resolve-Path "$PSScriptRoot/../../../infra/hooks/postprovision.ps1") "$TestDrive/infra/hooks"
    foreach ($name in 'Grant-Permissions', 'Grant-MailSend') {
        Set-Content "$TestDrive/infra/$name.ps1" @"
param([guid] `$PrincipalId, [guid] `$ClientId, [string[]] `$Features, [string] `$Mode, [guid] `$AdministrativeUnit, [string[]] `$MailFrom)
if (`$env:FAIL -eq '$name') { throw 'no rights' }
"$name " + ((`$PSBoundParameters.GetEnumerator() | Sort-Object Key | ForEach-Object { "`$(`$_.Key)=`$(`$_.Value)" }) -join ' ')
"@
    }
    $hook = "$TestDrive/infra/hooks/postprovision.ps1"
    $names = 'FIRSTPASS_PRINCIPAL_ID', 'FIRSTPASS_CLIENT_ID', 'FIRSTPASS_MAIL_FROM', 'FIRSTPASS_FEATURES', 'FIRSTPASS_MODE', 'FIRSTPASS_ADMINISTRATIVE_UNIT', 'FIRSTPASS_PERMISSIONS', 'FAIL', 'CI'
    $principal = 'bbbbbbbb-1111-4111-8111-bbbbbbbbbbbb'
    $client = 'dddddddd-1111-4111-8111-dddddddddddd'
}

Describe 'postprovision.ps1' {
    BeforeEach {
        $saved = @{}
        foreach ($name in $names) { $saved[$name] = [Environment]::GetEnvironmentVariable($name); [Environment]::SetEnvironmentVariable($name, $null) }
        $env:FIRSTPASS_PRINCIPAL_ID = $principal
        $env:FIRSTPASS_CLIENT_ID = $client
        $env:FIRSTPASS_MAIL_FROM = 'welcome@contoso.com'
        Mock Get-Module { [pscustomobject]@{ Name = 'ExchangeOnlineManagement' }, [pscustomobject]@{ Name = 'Microsoft.Graph.Applications' } }
    }
    AfterEach { foreach ($name in $names) { [Environment]::SetEnvironmentVariable($name, $saved[$name]) } }

    It 'grants both with the values of the environment' {
        $env:FIRSTPASS_FEATURES = 'methods,sign-ins'
        $env:FIRSTPASS_MODE = 'role'
        $env:FIRSTPASS_ADMINISTRATIVE_UNIT = 'cccccccc-1111-4111-8111-cccccccccccc'
        & $hook | Where-Object { $_ -like 'Grant-*' } | Should -Be @(
            "Grant-Permissions AdministrativeUnit=cccccccc-1111-4111-8111-cccccccccccc Features=methods,sign-ins Mode=role PrincipalId=$principal"
            "Grant-MailSend ClientId=$client MailFrom=welcome@contoso.com PrincipalId=$principal")
    }
    It 'leaves defaults to the scripts' {
        & $hook | Where-Object { $_ -like 'Grant-P*' } | Should -Be "Grant-Permissions Mode=Permissions PrincipalId=$principal"
    }
    It 'grants nothing if somebody else does, and says what they run for the features of today' {
        $env:FIRSTPASS_PERMISSIONS = 'granted'
        $env:FIRSTPASS_FEATURES = 'passes,guard,methods,doctor'
        $lines = & $hook
        @($lines | Where-Object { $_ -like 'Grant-*' }) | Should -BeNullOrEmpty
        $lines -join "`n" | Should -BeLike "Permissions: not touched*infra/Grant-Permissions.ps1 -Features passes,guard,methods,doctor *infra/Grant-MailSend.ps1*-MailFrom welcome@contoso.com*"
    }
    It 'says what is to do <Where>' -ForEach @(@{ Where = 'without the modules' }, @{ Where = 'without a person' }, @{ Where = 'without a mailbox' }) {
        if ($Where -eq 'without the modules') { Mock Get-Module { [pscustomobject]@{ Name = 'ExchangeOnlineManagement' } } }
        if ($Where -eq 'without a person') { $env:CI = 'true' }
        if ($Where -eq 'without a mailbox') { $env:FIRSTPASS_MAIL_FROM = $null }
        $lines = & $hook
        @($lines | Where-Object { $_ -like 'Grant-MailSend*' }) | Should -BeNullOrEmpty
        $lines -join "`n" | Should -BeLike "*TO DO*infra/Grant-MailSend.ps1 -ClientId $client -MailFrom *-PrincipalId $principal*"
    }
    It 'stops azd if <_> fails, and says who goes on' -ForEach @('Grant-Permissions', 'Grant-MailSend') {
        $env:FAIL = $_
        { & $hook } | Should -Throw "no rights*azd stops here*infra/Grant-Permissions.ps1 -Mode*infra/Grant-MailSend.ps1*FIRSTPASS_PERMISSIONS granted*"
    }
    It 'says that the template comes first' {
        $env:FIRSTPASS_CLIENT_ID = $null
        { & $hook } | Should -Throw 'FIRSTPASS_CLIENT_ID is an output*'
    }
}
