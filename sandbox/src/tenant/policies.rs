//! The tenant's policies besides that of Temporary Access Passes: methods of sign-in, and Conditional Access.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    pass::{Target, excluded},
    schema::object,
};

/// Who may register a method of sign-in.
#[derive(Clone, Debug)]
pub struct MethodPolicy {
    /// Whether the method is enabled.
    pub enabled: bool,
    /// Whom the policy includes.
    pub include: Vec<Target>,
    /// The groups that it excludes.
    pub exclude: Vec<Uuid>,
    /// Whether users may register it themselves; of passkeys only.
    pub self_service: bool,
}

impl Default for MethodPolicy {
    fn default() -> Self {
        Self { enabled: true, include: vec![Target::AllUsers], exclude: Vec::new(), self_service: true }
    }
}

impl MethodPolicy {
    fn to_graph(&self, id: &str, kind: &str) -> Map<String, Value> {
        object(json!({
            "@odata.type": format!("#microsoft.graph.{kind}AuthenticationMethodConfiguration"),
            "id": id,
            "state": if self.enabled { "enabled" } else { "disabled" },
            "includeTargets": self.include.iter().map(Target::to_graph).collect::<Vec<_>>(),
            "excludeTargets": excluded(&self.exclude),
        }))
    }

    pub(super) fn to_passkeys(&self) -> Map<String, Value> {
        let mut policy = self.to_graph("Fido2", "fido2");
        policy.insert("isSelfServiceRegistrationAllowed".to_owned(), self.self_service.into());
        policy.insert("isAttestationEnforced".to_owned(), false.into());
        policy.insert(
            "keyRestrictions".to_owned(),
            json!({"isEnforced": false, "enforcementType": "block", "aaGuids": []}),
        );
        policy
    }

    pub(super) fn to_authenticator(&self) -> Map<String, Value> {
        let mut policy = self.to_graph("MicrosoftAuthenticator", "microsoftAuthenticator");
        policy.insert("isSoftwareOathEnabled".to_owned(), false.into());
        policy
    }
}

/// A Conditional Access policy as Graph shows it.
#[derive(Clone, Debug)]
pub struct ConditionalAccessPolicy {
    /// Its id.
    pub id: Uuid,
    /// All other properties.
    pub properties: Value,
}

impl ConditionalAccessPolicy {
    /// A policy that is on, for all users and all resources, and asks for multifactor authentication.
    pub fn named(name: &str) -> Self {
        let properties = json!({
            "displayName": name,
            "templateId": null,
            "createdDateTime": "2026-01-12T09:00:00Z",
            "modifiedDateTime": null,
            "state": "enabled",
            "sessionControls": null,
            "conditions": {
                "userRiskLevels": [],
                "signInRiskLevels": [],
                "servicePrincipalRiskLevels": [],
                "insiderRiskLevels": null,
                "clientAppTypes": ["all"],
                "platforms": null,
                "locations": null,
                "devices": null,
                "clientApplications": null,
                "authenticationFlows": null,
                "applications": {
                    "includeApplications": ["All"],
                    "excludeApplications": [],
                    "includeUserActions": [],
                    "includeAuthenticationContextClassReferences": [],
                    "applicationFilter": null,
                },
                "users": {
                    "includeUsers": ["All"],
                    "excludeUsers": [],
                    "includeGroups": [],
                    "excludeGroups": [],
                    "includeRoles": [],
                    "excludeRoles": [],
                    "includeGuestsOrExternalUsers": null,
                    "excludeGuestsOrExternalUsers": null,
                },
            },
            "grantControls": {
                "operator": "OR",
                "builtInControls": ["mfa"],
                "customAuthenticationFactors": [],
                "termsOfUse": [],
                "authenticationStrength": null,
            },
        });
        Self { id: Uuid::nil(), properties }
    }

    /// Sets the value at a JSON pointer, which must be there.
    #[must_use]
    pub fn with(mut self, pointer: &str, value: Value) -> Self {
        if let Some(place) = self.properties.pointer_mut(pointer) {
            *place = value;
        }
        self
    }

    /// Applies to the registration of security information instead of resources.
    #[must_use]
    pub fn on_registration(self) -> Self {
        self.with("/conditions/applications/includeApplications", json!([]))
            .with("/conditions/applications/includeUserActions", json!(["urn:user:registersecurityinfo"]))
    }

    /// Asks for an authentication strength of these combinations, instead of multifactor authentication.
    #[must_use]
    pub fn asking_for(self, strength: &str, combinations: &[&str]) -> Self {
        let strength = json!({
            "id": "00000000-0000-0000-0000-000000000004",
            "createdDateTime": "2021-12-01T00:00:00Z",
            "modifiedDateTime": "2021-12-01T00:00:00Z",
            "displayName": strength,
            "description": "",
            "policyType": "custom",
            "requirementsSatisfied": "mfa",
            "allowedCombinations": combinations,
        });
        self.with("/grantControls/builtInControls", json!([]))
            .with("/grantControls/authenticationStrength", strength)
    }

    pub(super) fn to_graph(&self) -> Map<String, Value> {
        let mut shown = object(self.properties.clone());
        shown.insert("id".to_owned(), json!(self.id));
        shown
    }
}
