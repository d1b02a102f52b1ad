//! Collections of several pages.

use firstpass_sandbox::tenant::Group;
use serde_json::Value;

use super::{Caller, Person, Tenant, at, caller, column};

const FILTERED: &str =
    "/v1.0/users?$filter=employeeHireDate ge 2026-11-21T00:00:00Z&$count=true&$select=id&$top=4";

fn tenant_of(people: usize) -> Tenant {
    let mut tenant = Tenant::new(7);
    for number in 0..people {
        tenant.add(Person::named(&format!("Joiner {number}")).hire_date(at("2026-11-30T00:00:00Z")));
    }
    tenant
}

/// All pages, by their next links.
async fn pages(caller: &Caller, url: &str) -> Vec<Value> {
    let mut pages = vec![caller.advanced(url).await.expect(200)];
    while let Some(link) = pages.last().and_then(|page| page["@odata.nextLink"].as_str()) {
        assert!(link.starts_with("https://graph.microsoft.com/v1.0/"), "{link}");
        pages.push(caller.advanced(link).await.expect(200));
    }
    pages
}

#[tokio::test]
async fn next_links_cover_the_whole_collection() {
    let caller = caller(tenant_of(10));
    let pages = pages(&caller, FILTERED).await;
    assert_eq!(pages.iter().map(|page| column(page, "id").len()).collect::<Vec<_>>(), [4, 4, 2]);
    let mut ids: Vec<_> = pages.iter().flat_map(|page| column(page, "id")).collect();
    ids.dedup();
    assert_eq!(ids.len(), 10);
    assert_eq!(pages[0]["@odata.count"], 10);
    assert_eq!(pages[1].get("@odata.count"), None, "the count is on the first page only");
    assert!(pages[1]["value"][0].get("displayName").is_none(), "the selection is kept");
}

#[tokio::test]
async fn a_change_between_two_pages_skips_or_repeats_no_item() {
    let caller = caller(tenant_of(10));
    let first = caller.advanced(FILTERED).await.expect(200);
    let first_id = column(&first, "id")[0].parse().unwrap();
    caller.sandbox.edit(|tenant| tenant.delete(first_id));
    let second = caller.advanced(first["@odata.nextLink"].as_str().unwrap()).await.expect(200);
    let third = caller.advanced(second["@odata.nextLink"].as_str().unwrap()).await.expect(200);
    assert_eq!(column(&second, "id").len() + column(&third, "id").len(), 6);
}

#[tokio::test]
async fn a_changed_next_link_is_refused() {
    let caller = caller(tenant_of(10));
    let first = caller.advanced(FILTERED).await.expect(200);
    let link = first["@odata.nextLink"].as_str().unwrap();
    assert_eq!(caller.get(link).await.status, 400, "the header is required again");
    assert_eq!(caller.advanced(link.replace("$top=4", "$top=5")).await.status, 400);
    assert_eq!(caller.advanced(link.replace("&$select=id", "")).await.status, 400);
    assert_eq!(caller.advanced(format!("{link}0")).await.status, 400);
}

#[tokio::test]
async fn the_page_size_is_100_by_default_and_at_most_999() {
    let caller = caller(tenant_of(120));
    let url = "/v1.0/users?$select=id";
    assert_eq!(column(&caller.get(url).await.expect(200), "id").len(), 100);
    assert_eq!(column(&caller.get(format!("{url}&$top=999")).await.expect(200), "id").len(), 120);
    for top in ["0", "1000", "-1", "many"] {
        assert_eq!(caller.get(format!("{url}&$top={top}")).await.status, 400);
    }
}

#[tokio::test]
async fn the_page_size_of_every_collection_can_be_capped() {
    let mut tenant = tenant_of(5);
    let people: Vec<_> = tenant.users.keys().copied().collect();
    let group = tenant.add_group(Group::named("All").members(people.clone()));
    for number in 0..3 {
        tenant.add_group(Group::named(&format!("Team {number}")).members(people.clone()));
    }
    tenant.page_size_cap = 2;
    let caller = caller(tenant);
    let members = pages(&caller, &format!("/v1.0/groups/{group}/members?$select=id&$top=999")).await;
    assert_eq!(members.iter().map(|page| column(page, "id").len()).collect::<Vec<_>>(), [2, 2, 1]);
    let groups = pages(&caller, &format!("/v1.0/users/{}/transitiveMemberOf?$select=id", people[0])).await;
    assert_eq!(groups.len(), 2);
}
