//! The path segments of Graph, from its v1.0 schema.

use super::schema::{GROUP, Schema, USER};

/// The first segments.
const ROOTS: &str = "
    admin agreementAcceptances agreements appCatalogs applications applicationTemplates
    appRoleAssignments auditLogs authenticationMethodConfigurations authenticationMethodsPolicy
    certificateBasedAuthConfiguration chats communications compliance connections contacts contracts
    copilot dataPolicyOperations deviceAppManagement deviceManagement devices directory directoryObjects
    directoryRoles directoryRoleTemplates domainDnsRecords domains drive drives education
    employeeExperience external filterOperators functions groupLifecyclePolicies groups groupSettings
    groupSettingTemplates identity identityGovernance identityProtection identityProviders
    informationProtection invitations me oauth2PermissionGrants organization permissionGrants places
    planner policies print privacy reports roleManagement schemaExtensions scopedRoleMemberships search
    security servicePrincipals shares sites solutions storage subscribedSkus subscriptions teams
    teamsTemplates teamwork tenantRelationships users
";

/// The segments after a user, in addition to its properties.
const OF_USER: &str = "
    activities adhocCalls agreementAcceptances appRoleAssignments assignLicense authentication calendar
    calendarGroups calendars calendarView changePassword chats checkMemberGroups checkMemberObjects
    cloudClipboard cloudPCs contactFolders contacts createdObjects dataSecurityAndGovernance
    deviceManagementTroubleshootingEvents directReports drive drives employeeExperience events
    exportDeviceAndAppManagementData exportPersonalData extensions findMeetingTimes followedSites
    getMailTips getManagedAppDiagnosticStatuses getManagedAppPolicies getManagedDevicesWithAppFailures
    getMemberGroups getMemberObjects inferenceClassification insights joinedTeams licenseDetails
    mailboxSettings mailFolders managedAppRegistrations managedDevices manager memberOf messages
    oauth2PermissionGrants onenote onlineMeetings onPremisesSyncBehavior outlook ownedDevices
    ownedObjects people permissionGrants photo photos planner presence registeredDevices reminderView
    removeAllDevicesFromManagement reprocessLicenseAssignment restore retryServiceProvisioning
    revokeSignInSessions scopedRoleMemberOf sendMail settings solutions sponsorOf sponsors teamwork todo
    transitiveMemberOf translateExchangeIds wipeManagedAppRegistrationsByDeviceTag
";

/// The segments after a group, in addition to its properties.
const OF_GROUP: &str = "
    acceptedSenders addFavorite appRoleAssignments assignLicense calendar calendarView
    checkGrantedPermissionsForApp checkMemberGroups checkMemberObjects conversations createdOnBehalfOf
    drive drives events extensions getMemberGroups getMemberObjects groupLifecyclePolicies memberOf
    members membersWithLicenseErrors onenote onPremisesSyncBehavior owners permissionGrants photo photos
    planner rejectedSenders removeFavorite renew resetUnseenCount restore retryServiceProvisioning
    settings sites subscribeByMail team threads transitiveMemberOf transitiveMembers unsubscribeByMail
    validateProperties
";

/// The segments after `authentication` of a user.
const OF_AUTHENTICATION: &str = "
    emailMethods externalAuthenticationMethods fido2Methods methods microsoftAuthenticatorMethods
    operations passwordMethods phoneMethods platformCredentialMethods softwareOathMethods
    temporaryAccessPassMethods windowsHelloForBusinessMethods
";

/// The segments after `roleManagement/directory`.
const OF_ROLE_MANAGEMENT: &str = "
    resourceNamespaces roleAssignments roleAssignmentScheduleInstances roleAssignmentScheduleRequests
    roleAssignmentSchedules roleDefinitions roleEligibilityScheduleInstances
    roleEligibilityScheduleRequests roleEligibilitySchedules
";

/// The segments after `identityGovernance/privilegedAccess/group`.
const OF_PRIVILEGED_GROUPS: &str = "
    assignmentApprovals assignmentScheduleInstances assignmentScheduleRequests assignmentSchedules
    eligibilityScheduleInstances eligibilityScheduleRequests eligibilitySchedules
";

/// The segments after `policies`.
const OF_POLICIES: &str = "
    activityBasedTimeoutPolicies adminConsentRequestPolicy appManagementPolicies
    authenticationFlowsPolicy authenticationMethodsPolicy authenticationStrengthPolicies
    authorizationPolicy claimsMappingPolicies conditionalAccessPolicies crossTenantAccessPolicy
    defaultAppManagementPolicy deviceRegistrationPolicy featureRolloutPolicies
    federatedTokenValidationPolicy homeRealmDiscoveryPolicies identitySecurityDefaultsEnforcementPolicy
    ownerlessGroupPolicy permissionGrantPolicies roleManagementPolicies roleManagementPolicyAssignments
    tokenIssuancePolicies tokenLifetimePolicies
";

/// The types that a collection of directory objects can be cast to.
const CASTS: &str =
    "administrativeUnit application device directoryRole group orgContact servicePrincipal user";

/// The first segment that Graph does not have. Keys are not checked.
pub(super) fn unknown<'a>(segments: &[&'a str]) -> Option<&'a str> {
    let lacks = |segment: &'a str, known: &str| (!has(known, segment)).then_some(segment);
    let child = |segment: &'a str, known: &str, of: &Schema| {
        let mut properties = [of.by_default, of.on_request, of.unimplemented].concat().into_iter();
        let is_property = properties.any(|name| name.eq_ignore_ascii_case(segment));
        if is_property || segment.starts_with("microsoft.graph.") { None } else { lacks(segment, known) }
    };
    match segments {
        ["users", _, "authentication", child, ..] => lacks(child, OF_AUTHENTICATION),
        ["users", _, segment, ..] => child(segment, OF_USER, &USER),
        ["groups", _, segment, ..] => child(segment, OF_GROUP, &GROUP),
        ["roleManagement", "directory", segment, ..] => lacks(segment, OF_ROLE_MANAGEMENT),
        ["identityGovernance", "privilegedAccess", "group", segment, ..] => {
            lacks(segment, OF_PRIVILEGED_GROUPS)
        }
        ["policies", segment, ..] => lacks(segment, OF_POLICIES),
        [first, ..] => lacks(first, ROOTS),
        [] => None,
    }
}

/// Whether a collection of directory objects can be cast to this type.
pub(super) fn is_cast(name: &str) -> bool {
    name.strip_prefix("microsoft.graph.").is_some_and(|name| has(CASTS, name))
}

fn has(known: &str, segment: &str) -> bool {
    known.split_whitespace().any(|name| name.eq_ignore_ascii_case(segment))
}
