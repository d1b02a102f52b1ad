# Puts the package into dist/: made here, where Rust and zip are installed on Linux on x86-64, and otherwise fetched from the release
# of the version in Cargo.toml. `azd package`, `azd deploy` and `azd up` run this; it can be run by hand too. With one of these it is
# fetched in any case:
#
#   FIRSTPASS_RELEASES         where the releases are, if not in the `repository` of Cargo.toml: the folder that has v<version>/
#   FIRSTPASS_PACKAGE_SHA256   the SHA-256 that the package must have, if not the one beside it
#
# Runs in Windows PowerShell 5.1 and in PowerShell 7.
$ErrorActionPreference = 'Stop'
# Its progress bar makes a download many times slower.
$ProgressPreference = 'SilentlyContinue'
Set-Location (Join-Path $PSScriptRoot '../..')

function Stop-Hook([string] $Why) {
    [Console]::Error.WriteLine("infra/hooks/prepackage.ps1: $Why")
    exit 1
}

$isReleaseWanted = $env:FIRSTPASS_RELEASES -or $env:FIRSTPASS_PACKAGE_SHA256
$canBuild = -not $isReleaseWanted -and (Get-Variable IsLinux -ValueOnly -ErrorAction SilentlyContinue) -and (uname -m) -eq 'x86_64' -and
    (Get-Command cargo -ErrorAction SilentlyContinue) -and (Get-Command zip -ErrorAction SilentlyContinue)
if ($canBuild) {
    & ./infra/package.sh
    exit $LASTEXITCODE
}

function Get-CargoValue([string] $Name) {
    Get-Content Cargo.toml | Where-Object { $_ -match "^$Name = `"(.*)`"$" } | Select-Object -First 1 | ForEach-Object { $Matches[1] }
}
$version = Get-CargoValue version
$repository = Get-CargoValue repository
$releases = if ($env:FIRSTPASS_RELEASES) { $env:FIRSTPASS_RELEASES } elseif ($repository) { "$repository/releases/download" }
if (-not $releases) {
    Stop-Hook ('Cargo.toml names no repository, so there is no release to fetch. Set FIRSTPASS_RELEASES to the folder of ' +
        'the releases (https://.../releases/download), or install Rust and zip on Linux on x86-64.')
}
$url = "$releases/v$version/firstpass.zip"

function Get-File([string] $From, [string] $To) {
    try { Invoke-WebRequest -UseBasicParsing -Uri $From -OutFile $To }
    catch { Stop-Hook "$From cannot be fetched ($($_.Exception.Message)). Nothing was changed." }
}

# What is in dist/ has been checked, or is not there.
New-Item -ItemType Directory -Force dist | Out-Null
$part = 'dist/firstpass.zip.part'
try {
    Get-File $url $part
    $expected = $env:FIRSTPASS_PACKAGE_SHA256
    if (-not $expected) {
        Get-File "$url.sha256" "$part.sha256"
        $expected = ((Get-Content "$part.sha256" -TotalCount 1) -split ' ')[0]
    }
    $actual = (Get-FileHash -Algorithm SHA256 $part).Hash.ToLowerInvariant()
    if ($actual -ne $expected) {
        Stop-Hook ("$url has the SHA-256 $actual, and $expected was expected. It was not kept: somebody changed it, " +
            'or the download is damaged. Run this again; if it stays, do not deploy it, and report it.')
    }
    Move-Item -Force $part dist/firstpass.zip
    [IO.File]::WriteAllText((Join-Path (Get-Location) 'dist/firstpass.zip.sha256'), "$actual  firstpass.zip`n")
    "dist/firstpass.zip is the release $version, SHA-256 $actual"
}
finally {
    Remove-Item -Force -ErrorAction SilentlyContinue $part, "$part.sha256"
}
