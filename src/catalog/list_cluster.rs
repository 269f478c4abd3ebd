//! The objects of a cluster, read once.

use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use serde_json::Value;

use crate::api::TRIGGERS_GROUP;

use super::objects::Kind;

/// Objects that the API server gives at once.
const PAGE: u32 = 500;

/// Every object of Tekton Triggers. Kinds that are not served have none.
pub async fn list(client: &Client) -> kube::Result<Vec<Value>> {
    let mut objects = Vec::new();
    for kind in Kind::OF_TRIGGERS {
        match of_kind(client, kind.stored_version(), kind.name()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            listed => objects.extend(listed?),
        }
    }
    Ok(objects)
}

async fn of_kind(client: &Client, version: &str, kind: &str) -> kube::Result<Vec<Value>> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(TRIGGERS_GROUP, version, kind));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut params = ListParams::default().limit(PAGE);
    let mut objects = Vec::new();
    loop {
        let page = api.list(&params).await?;
        objects.extend(page.items.into_iter().filter_map(|mut object| {
            object.metadata.managed_fields = None;
            let mut value = serde_json::to_value(object).ok()?;
            // A list does not say of each object what it is.
            value["kind"] = kind.into();
            value["apiVersion"] = format!("{TRIGGERS_GROUP}/{version}").into();
            Some(value)
        }));
        match page.metadata.continue_.filter(|next| !next.is_empty()) {
            Some(next) => params = params.continue_token(&next),
            None => return Ok(objects),
        }
    }
}
