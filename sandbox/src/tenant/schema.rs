//! The properties of each type, and which of them a response contains.

use serde_json::{Map, Value};

use super::wire::ErrorResponse;

pub(super) struct Schema {
    /// The type's name, without the namespace.
    pub(super) name: &'static str,
    /// The properties that are returned without `$select`.
    pub(super) by_default: &'static [&'static str],
    /// The properties that are returned with `$select` only.
    pub(super) on_request: &'static [&'static str],
    /// The properties that Graph has and the sandbox does not implement; selecting one is a 501.
    pub(super) unimplemented: &'static [&'static str],
}

pub(super) const DOMAIN: Schema = Schema {
    name: "domain",
    by_default: &[
        "authenticationType",
        "availabilityStatus",
        "id",
        "isAdminManaged",
        "isDefault",
        "isInitial",
        "isRoot",
        "isVerified",
        "supportedServices",
    ],
    on_request: &[],
    unimplemented: &[
        "manufacturer",
        "model",
        "passwordNotificationWindowInDays",
        "passwordValidityPeriodInDays",
        "state",
    ],
};

pub(super) const CONDITIONAL_ACCESS_POLICY: Schema = Schema {
    name: "conditionalAccessPolicy",
    by_default: &[
        "conditions",
        "createdDateTime",
        "displayName",
        "grantControls",
        "id",
        "modifiedDateTime",
        "sessionControls",
        "state",
        "templateId",
    ],
    on_request: &[],
    unimplemented: &["deletedDateTime", "description"],
};

pub(super) const USER: Schema = Schema {
    name: "user",
    by_default: &[
        "businessPhones",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mobilePhone",
        "officeLocation",
        "preferredLanguage",
        "surname",
        "userPrincipalName",
    ],
    on_request: &[
        "accountEnabled",
        "city",
        "companyName",
        "country",
        "createdDateTime",
        "creationType",
        "department",
        "employeeHireDate",
        "employeeId",
        "employeeLeaveDateTime",
        "employeeType",
        "externalUserState",
        "identities",
        "isManagementRestricted",
        "mailNickname",
        "onPremisesExtensionAttributes",
        "onPremisesSyncEnabled",
        "otherMails",
        "proxyAddresses",
        "signInActivity",
        "state",
        "usageLocation",
        "userType",
    ],
    unimplemented: &[
        "aboutMe",
        "ageGroup",
        "assignedLicenses",
        "assignedPlans",
        "authorizationInfo",
        "birthday",
        "consentProvidedForMinor",
        "customSecurityAttributes",
        "deletedDateTime",
        "deviceEnrollmentLimit",
        "employeeOrgData",
        "externalUserStateChangeDateTime",
        "faxNumber",
        "hireDate",
        "identityParentId",
        "imAddresses",
        "interests",
        "isResourceAccount",
        "lastPasswordChangeDateTime",
        "legalAgeGroupClassification",
        "licenseAssignmentStates",
        "mailboxSettings",
        "mySite",
        "onPremisesDistinguishedName",
        "onPremisesDomainName",
        "onPremisesImmutableId",
        "onPremisesLastSyncDateTime",
        "onPremisesProvisioningErrors",
        "onPremisesSamAccountName",
        "onPremisesSecurityIdentifier",
        "onPremisesUserPrincipalName",
        "passwordPolicies",
        "passwordProfile",
        "pastProjects",
        "postalCode",
        "preferredDataLocation",
        "preferredName",
        "print",
        "provisionedPlans",
        "responsibilities",
        "schools",
        "securityIdentifier",
        "serviceProvisioningErrors",
        "showInAddressList",
        "signInSessionsValidFromDateTime",
        "skills",
        "streetAddress",
    ],
};

pub(super) const GROUP: Schema = Schema {
    name: "group",
    by_default: &[
        "description",
        "displayName",
        "groupTypes",
        "id",
        "isAssignableToRole",
        "mail",
        "mailEnabled",
        "mailNickname",
        "membershipRule",
        "membershipRuleProcessingState",
        "securityEnabled",
        "visibility",
    ],
    on_request: &[],
    unimplemented: &[
        "assignedLabels",
        "assignedLicenses",
        "classification",
        "createdDateTime",
        "deletedDateTime",
        "expirationDateTime",
        "hasMembersWithLicenseErrors",
        "isManagementRestricted",
        "licenseProcessingState",
        "onPremisesDomainName",
        "onPremisesExtensionAttributes",
        "onPremisesLastSyncDateTime",
        "onPremisesNetBiosName",
        "onPremisesProvisioningErrors",
        "onPremisesSamAccountName",
        "onPremisesSecurityIdentifier",
        "onPremisesSyncEnabled",
        "organizationId",
        "preferredDataLocation",
        "preferredLanguage",
        "proxyAddresses",
        "renewedDateTime",
        "resourceBehaviorOptions",
        "resourceProvisioningOptions",
        "securityIdentifier",
        "serviceProvisioningErrors",
        "theme",
        "uniqueName",
    ],
};

pub(super) const DEVICE: Schema = Schema {
    name: "device",
    by_default: &["accountEnabled", "deviceId", "displayName", "id", "operatingSystem"],
    on_request: &[],
    unimplemented: &[
        "approximateLastSignInDateTime",
        "isCompliant",
        "isManaged",
        "operatingSystemVersion",
        "trustType",
    ],
};

pub(super) const SERVICE_PRINCIPAL: Schema = Schema {
    name: "servicePrincipal",
    by_default: &["accountEnabled", "appId", "displayName", "id", "servicePrincipalType"],
    on_request: &[],
    unimplemented: &["appDisplayName", "appOwnerOrganizationId", "servicePrincipalNames", "tags"],
};

pub(super) const APPLICATION: Schema = Schema {
    name: "application",
    by_default: &["appId", "displayName", "id", "signInAudience"],
    on_request: &[],
    unimplemented: &[
        "createdDateTime",
        "identifierUris",
        "keyCredentials",
        "passwordCredentials",
        "tags",
        "web",
    ],
};

pub(super) const CONTACT: Schema = Schema {
    name: "orgContact",
    by_default: &[
        "companyName",
        "department",
        "displayName",
        "givenName",
        "id",
        "jobTitle",
        "mail",
        "mailNickname",
        "surname",
    ],
    on_request: &[],
    unimplemented: &["addresses", "onPremisesSyncEnabled", "phones", "proxyAddresses"],
};

pub(super) const DIRECTORY_ROLE: Schema = Schema {
    name: "directoryRole",
    by_default: &["description", "displayName", "id", "roleTemplateId"],
    on_request: &[],
    unimplemented: &["deletedDateTime"],
};

pub(super) const ROLE_ASSIGNMENT: Schema = Schema {
    name: "unifiedRoleAssignment",
    by_default: &["directoryScopeId", "id", "principalId", "roleDefinitionId"],
    on_request: &[],
    unimplemented: &["appScopeId", "condition", "principalOrganizationId"],
};

pub(super) const ROLE_ELIGIBILITY: Schema = Schema {
    name: "unifiedRoleEligibilityScheduleInstance",
    by_default: &[
        "appScopeId",
        "directoryScopeId",
        "endDateTime",
        "id",
        "memberType",
        "principalId",
        "roleDefinitionId",
        "roleEligibilityScheduleId",
        "startDateTime",
    ],
    on_request: &[],
    unimplemented: &[],
};

impl Schema {
    fn has(&self, property: &str) -> bool {
        self.by_default.contains(&property) || self.on_request.contains(&property)
    }

    /// Reduces `whole` to the default or the selected properties.
    pub(super) fn project(&self, whole: Map<String, Value>, select: Option<&[String]>) -> Map<String, Value> {
        debug_assert!(
            whole.len() == self.by_default.len() + self.on_request.len()
                && whole.keys().all(|name| self.has(name)),
            "{}: {:?} are not the properties that the type promises",
            self.name,
            whole.keys()
        );
        let is_selected = |property: &str| match select {
            None => self.by_default.contains(&property),
            Some(select) => select.iter().any(|name| name == property),
        };
        whole.into_iter().filter(|(name, _)| is_selected(name)).collect()
    }

    /// [`Schema::project`] with `@odata.type`, as in collections of mixed types.
    pub(super) fn project_with_type(&self, whole: Map<String, Value>, select: Option<&[String]>) -> Value {
        let mut object = self.project(whole, select);
        object.insert("@odata.type".to_owned(), format!("#microsoft.graph.{}", self.name).into());
        Value::Object(object)
    }
}

/// Refuses a `$select` of a property that none of the types has.
pub(super) fn check_select(select: Option<&[String]>, types: &[&Schema]) -> Result<(), ErrorResponse> {
    for property in select.unwrap_or_default() {
        if types.iter().any(|schema| schema.has(property)) {
            continue;
        }
        if types.iter().any(|schema| schema.unimplemented.contains(&property.as_str())) {
            return Err(ErrorResponse::not_implemented(&format!("the property '{property}'")));
        }
        let name = types.first().map_or("entity", |schema| schema.name);
        return Err(ErrorResponse::bad_request(format!(
            "Parsing OData Select and Expand failed: Could not find a property named '{property}' on type \
             'microsoft.graph.{name}'."
        )));
    }
    Ok(())
}

/// The members of a JSON object; `value` must be one.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
