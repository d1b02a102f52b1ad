use super::*;
use crate::{environment::Environment, settings::Settings};

const OID: &str = "11111111-1111-1111-1111-111111111111";
const APP: &str = "22222222-2222-2222-2222-222222222222";
const TENANT: &str = "33333333-3333-3333-3333-333333333333";

fn settings(auth: &str, allowed: &str) -> CreateTapSettings {
    let env = Environment::from_iter([
        ("MAIL_FROM", "welcome@contoso.com"),
        ("LEDGER_URL", "https://mystorage.blob.core.windows.net/ledger"),
        ("WEBSITE_AUTH_ENABLED", auth),
        ("CREATE_TAP_OPEN", "true"),
        ("CREATE_TAP_ALLOWED_CALLERS", allowed),
    ]);
    Settings::read(&env).unwrap().create_tap
}

fn encoded(auth_typ: &str, claims: &[(&str, &str)]) -> String {
    let claims: Vec<_> =
        claims.iter().map(|(typ, val)| serde_json::json!({"typ": typ, "val": val})).collect();
    base64::encode(serde_json::json!({"auth_typ": auth_typ, "claims": claims}).to_string())
}

/// What the callers with these claims may do.
fn grant(claims: &[(&str, &str)], allowed: &str) -> Result<Grant, Denied> {
    grant_with("aad", claims, &[], &settings("true", allowed))
}

fn grant_with(
    auth_typ: &str,
    claims: &[(&str, &str)],
    more: &[(&str, &str)],
    settings: &CreateTapSettings,
) -> Result<Grant, Denied> {
    let principal = encoded(auth_typ, claims);
    let headers = [("x-ms-client-principal", principal.as_str())];
    let headers = headers.iter().chain(more).map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Caller::of(&headers, Some("default"), settings).authorise(settings)
}

fn everything() -> Result<Grant, Denied> {
    Ok(Grant { tenant: TENANT.parse().ok(), manager: None })
}

fn of_manager() -> Result<Grant, Denied> {
    Ok(Grant { tenant: TENANT.parse().ok(), manager: OID.parse().ok() })
}

const US: [(&str, &str); 2] = [("oid", OID), ("tid", TENANT)];

#[test]
fn only_a_listed_caller_that_the_platform_vouches_for_may_call() {
    let of = |auth, allowed| grant_with("aad", &US, &[], &settings(auth, allowed));
    assert_eq!(
        of("", ""),
        Ok(Grant { tenant: None, manager: None }),
        "without a list every caller is permitted"
    );
    assert_eq!(of("True", OID), everything());
    assert!(of("", OID).is_err(), "headers are ignored without authentication");
    assert!(of("False", OID).is_err());
    assert!(of("true", APP).is_err());
    let long = [(OBJECT_ID[1], OID), (TENANT_ID[1], TENANT)];
    assert_eq!(grant(&long, OID), everything(), "the platform maps claims");
    let by_header = [("x-ms-client-principal-id".to_owned(), OID.to_owned())].into_iter().collect();
    let settings = settings("true", OID);
    assert!(Caller::of(&by_header, None, &settings).authorise(&settings).is_err(), "an id without a token");
}

#[test]
fn a_token_of_another_provider_or_one_that_contradicts_itself_is_no_token() {
    let with = |auth_typ, more: &[(&str, &str)]| grant_with(auth_typ, &US, more, &settings("true", OID));
    assert!(with("google", &[]).is_err() && with("AAD2", &[]).is_err() && with("", &[]).is_err());
    assert!(with("aad", &[("x-ms-client-principal-idp", "aad"), ("x-ms-client-principal-id", OID)]).is_ok());
    assert!(with("aad", &[("x-ms-client-principal-idp", "github")]).is_err());
    assert!(with("aad", &[("x-ms-client-principal-id", APP)]).is_err());
    assert!(with("aad", &[("X-MS-CLIENT-PRINCIPAL", "e30=")]).is_err(), "the header comes twice");
    for twice in [("oid", OID), ("oid", APP), (OBJECT_ID[1], OID), ("tid", TENANT), (TENANT_ID[1], APP)] {
        assert!(grant(&[&US[..], &[twice]].concat(), OID).is_err(), "{twice:?}");
    }
    assert!(grant(&US[..1], OID).is_err(), "no tenant");
    assert!(grant(&US[1..], OID).is_err(), "no object id");
    assert!(grant(&[("oid", "everyone"), ("tid", TENANT)], OID).is_err());
    for contradiction in [
        &[("idtyp", "app"), ("scp", "user_impersonation")][..],
        &[("idtyp", "app"), ("sub", APP)],
        &[("idtyp", "user"), ("sub", OID)],
        &[("idtyp", "app"), ("idtyp", "user")],
        &[("idtyp", "device")],
        &[("sub", OID), ("scp", "user_impersonation")],
        &[("sub", OID), (SUBJECT[1], "abc")],
        &[("idtyp", "app"), ("appid", APP), ("azp", OID)],
    ] {
        let claims = [&US[..], contradiction].concat();
        assert!(grant(&claims, OID).is_err() && grant(&claims, "managers").is_err(), "{contradiction:?}");
    }
}

/// `idtyp` is an optional claim; without it the subject tells.
#[test]
fn an_application_is_told_from_a_user() {
    for (claims, is_application, is_user) in [
        (&[("idtyp", "app"), ("appid", APP)][..], true, false),
        (&[("idtyp", "app"), ("azp", APP), (SUBJECT[1], OID)], true, false),
        (&[("sub", OID), ("appid", APP)], true, false),
        (&[("idtyp", "user"), ("appid", APP)], false, true),
        (&[("sub", "pairwise"), ("appid", APP), ("scp", "user_impersonation")], false, true),
        // A user of the app whose token has no scope: it was signed in by the platform.
        (&[(SUBJECT[1], "pairwise"), ("appid", APP)], false, true),
        (&[("appid", APP)], false, false),
        (&[("appid", APP), ("scp", "user_impersonation")], false, false),
        (&[], false, false),
    ] {
        let claims = [&US[..], claims].concat();
        assert_eq!(grant(&claims, APP).is_ok(), is_application, "{claims:?}");
        let expected = if is_user { of_manager() } else { grant(&US, APP) };
        assert_eq!(grant(&claims, "managers"), expected, "{claims:?}");
    }
    let user = [&US[..], &[("idtyp", "user")]].concat();
    assert_eq!(
        grant(&user, &format!("managers, {OID}")),
        everything(),
        "a listed user is more than a manager"
    );
    assert_eq!(grant(&user, &format!("managers, {APP}")), of_manager());
}
