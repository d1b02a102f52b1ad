# The cmdlets of Microsoft.Graph and ExchangeOnlineManagement that infra/*.ps1 call: their names and parameters as Microsoft
# documents them (MicrosoftDocs/microsoftgraph-docs-powershell@0007010, graph-powershell-1.0; MicrosoftDocs/
# office-docs-powershell@93336da, exchange-ps), so that a call with another parameter fails. Tests replace what they do.

# Microsoft.Graph.Authentication
function Connect-MgGraph {
    param([string[]] $Scopes, [string] $TenantId, [string] $ClientId, $ContextScope, [string] $Environment, [switch] $UseDeviceCode, [double] $ClientTimeout, [switch] $NoWelcome, [switch] $Break)
}
function Get-MgContext { param() }

# Microsoft.Graph.Applications
function Get-MgServicePrincipal {
    [CmdletBinding(DefaultParameterSetName = 'List')]
    param([Parameter(Mandatory, ParameterSetName = 'Get')] [string] $ServicePrincipalId, [string[]] $ExpandProperty, [string[]] $Property, [Parameter(ParameterSetName = 'List')] [string] $Filter, [string] $Search, [int] $Skip, [string[]] $Sort, [int] $Top, [string] $ConsistencyLevel, [int] $PageSize, [Parameter(ParameterSetName = 'List')] [switch] $All, [string] $CountVariable)
}
function Get-MgServicePrincipalAppRoleAssignment {
    param([Parameter(Mandatory)] [string] $ServicePrincipalId, [string] $AppRoleAssignmentId, [string[]] $ExpandProperty, [string[]] $Property, [string] $Filter, [string] $Search, [int] $Skip, [string[]] $Sort, [int] $Top, [string] $ConsistencyLevel, [int] $PageSize, [switch] $All, [string] $CountVariable)
}
function New-MgServicePrincipalAppRoleAssignment {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [string] $ServicePrincipalId, [hashtable] $AdditionalProperties, [string] $AppRoleId, [datetime] $CreatedDateTime, [datetime] $DeletedDateTime, [string] $Id, [string] $PrincipalDisplayName, [string] $PrincipalId, [string] $PrincipalType, [string] $ResourceDisplayName, [string] $ResourceId)
}
function Remove-MgServicePrincipalAppRoleAssignment {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [string] $AppRoleAssignmentId, [Parameter(Mandatory)] [string] $ServicePrincipalId, [string] $IfMatch, [switch] $PassThru)
}

# Microsoft.Graph.Identity.Governance
function Get-MgRoleManagementDirectoryRoleAssignment {
    param([string] $UnifiedRoleAssignmentId, [string[]] $ExpandProperty, [string[]] $Property, [string] $Filter, [string] $Search, [int] $Skip, [string[]] $Sort, [int] $Top, [int] $PageSize, [switch] $All, [string] $CountVariable)
}
function New-MgRoleManagementDirectoryRoleAssignment {
    [CmdletBinding(SupportsShouldProcess)]
    param([hashtable] $AdditionalProperties, $AppScope, [string] $AppScopeId, [string] $Condition, $DirectoryScope, [string] $DirectoryScopeId, [string] $Id, $Principal, [string] $PrincipalId, $RoleDefinition, [string] $RoleDefinitionId)
}
function Remove-MgRoleManagementDirectoryRoleAssignment {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [string] $UnifiedRoleAssignmentId, [string] $IfMatch, [switch] $PassThru)
}

# ExchangeOnlineManagement
function Connect-ExchangeOnline {
    param([string] $ConnectionUri, [string] $ExchangeEnvironmentName, [string] $DelegatedOrganization, [string] $Prefix, [string[]] $CommandName, [string] $AccessToken, [string] $AppId, [string] $CertificateThumbprint, [switch] $Device, [switch] $DisableWAM, [switch] $ManagedIdentity, [string] $Organization, [switch] $ShowBanner, [switch] $SkipLoadingCmdletHelp, [string] $UserPrincipalName)
}
function Get-ConnectionInformation { param([string[]] $ConnectionId, [string[]] $ModulePrefix) }
function Get-EXOMailbox {
    param([Parameter(Position = 0)] [string] $Identity, [string] $Anr, [switch] $Archive, [guid] $ExternalDirectoryObjectId, [string] $Filter, [switch] $GroupMailbox, [switch] $IncludeInactiveMailbox, [string] $PrimarySmtpAddress, [string[]] $Properties, $PropertySets, [string[]] $RecipientTypeDetails, $ResultSize, [switch] $SoftDeletedMailbox, [string] $UserPrincipalName)
}
function Get-Recipient {
    param([Parameter(Position = 0)] $Identity, [string] $Anr, [string] $Filter, [string[]] $Properties, $PropertySet, [string] $RecipientPreviewFilter, $RecipientType, $RecipientTypeDetails, $ResultSize, [string] $SortBy, [switch] $IncludeSoftDeletedRecipients)
}
function Get-OrganizationConfig { param($DomainController) }
function Enable-OrganizationCustomization { [CmdletBinding(SupportsShouldProcess)] param() }
function Get-ServicePrincipal { param([Parameter(Position = 0)] $Identity, $Organization) }
function New-ServicePrincipal {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory)] [string] $AppId, [Parameter(Mandatory)] [string] $ObjectId, [string] $DisplayName, $Organization)
}
function Remove-ServicePrincipal { [CmdletBinding(SupportsShouldProcess)] param([Parameter(Mandatory, Position = 0)] $Identity) }
function Get-ManagementScope { param([Parameter(Position = 0)] $Identity, [bool] $Exclusive, [switch] $Orphan) }
function New-ManagementScope {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory, Position = 0)] [ValidateLength(1, 64)] [string] $Name, [Parameter(Mandatory)] [string] $RecipientRestrictionFilter, [switch] $Exclusive, [switch] $Force, $RecipientRoot)
}
function Set-ManagementScope {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Mandatory, Position = 0)] $Identity, [string] $Name, [string] $RecipientRestrictionFilter, [switch] $Force, $RecipientRoot)
}
function Remove-ManagementScope { [CmdletBinding(SupportsShouldProcess)] param([Parameter(Mandatory, Position = 0)] $Identity, [switch] $Force) }
function Get-ManagementRoleAssignment {
    [CmdletBinding(DefaultParameterSetName = 'Identity')]
    param([Parameter(Position = 0, ParameterSetName = 'Identity')] $Identity, [Parameter(ParameterSetName = 'RoleAssignee')] $Role, [Parameter(ParameterSetName = 'RoleAssignee')] $RoleAssignee, $RoleAssigneeType, [bool] $Enabled, [bool] $Delegating, $RecipientWriteScope, $CustomRecipientWriteScope, [switch] $GetEffectiveUsers)
}
function New-ManagementRoleAssignment {
    [CmdletBinding(SupportsShouldProcess)]
    param([Parameter(Position = 0)] [ValidateLength(1, 64)] [string] $Name, [Parameter(Mandatory)] $Role, [Parameter(Mandatory)] $App, $CustomResourceScope, [switch] $Delegating, [switch] $Force, $RecipientAdministrativeUnitScope, $RecipientGroupScope)
}
function Remove-ManagementRoleAssignment { [CmdletBinding(SupportsShouldProcess)] param([Parameter(Mandatory, Position = 0)] $Identity, [switch] $Force) }
function Test-ServicePrincipalAuthorization { [CmdletBinding(SupportsShouldProcess)] param([Parameter(Mandatory, Position = 0)] $Identity, $Resource) }
