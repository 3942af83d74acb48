//! `GET /images/json`: the images that pass the filters, newest first.

use std::collections::{BTreeSet, HashMap};
use std::time::SystemTime;

use boxship_api::image::Summary;
use boxship_api::timestamp::Timestamp;
use boxship_api::{Filters, filters::InvalidFilter};
use boxship_oci::{Digest, Reference};
use boxship_store::Store;

use super::known::Known;
use super::{ImageListOptions, glob, manifests};
use crate::error::blocking;
use crate::{Engine, Error, Result};

const KEYS: [&str; 6] = ["dangling", "label", "before", "since", "reference", "until"];

impl Engine {
    /// `GET /images/json`.
    pub async fn image_list(&self, options: ImageListOptions) -> Result<Vec<Summary>> {
        options.filters.validate(&KEYS)?;
        let store = self.store().clone();
        let users = self.image_users();
        let with_manifests = options.manifests;
        let containers = self.image_containers();
        blocking(move || {
            let mut images = list(&store, &options, &users)?;
            if with_manifests {
                manifests::add(&store, &containers, &mut images)?;
            }
            Ok(images)
        })
        .await
    }

    /// The containers made from each image.
    fn image_containers(&self) -> HashMap<String, Vec<String>> {
        let mut containers: HashMap<String, Vec<String>> = HashMap::new();
        for container in self.inner.registry.all() {
            let configuration = container.configuration();
            containers.entry(configuration.image.clone()).or_default().push(configuration.id.clone());
        }
        containers
    }

    /// How many containers were made from each image.
    pub(super) fn image_users(&self) -> HashMap<String, i64> {
        let mut users = HashMap::new();
        for container in self.inner.registry.all() {
            *users.entry(container.configuration().image.clone()).or_default() += 1;
        }
        users
    }
}

fn list(store: &Store, options: &ImageListOptions, users: &HashMap<String, i64>) -> Result<Vec<Summary>> {
    let images = Known::all(store)?;
    let filter = Filter::new(&options.filters, store)?;
    let parents: BTreeSet<Digest> = images.iter().filter_map(|known| known.image.parent.clone()).collect();
    let shared = if options.shared_size { Some(shared_sizes(store)?) } else { None };
    let mut listed = Vec::new();
    for known in &images {
        if !filter.admits(known) {
            continue;
        }
        let mut summary = summary(known);
        filter.keep_matching(known, &mut summary)?;
        let has_children = parents.contains(&known.image.id);
        if !filter.admits_names(&summary, options.all || !has_children) {
            continue;
        }
        summary.containers = users.get(&summary.id).copied().unwrap_or(0);
        if let Some(shared) = &shared {
            summary.shared_size = shared.get(&known.image.id).copied().unwrap_or(0);
        }
        listed.push(summary);
    }
    listed.sort_by_key(|summary| std::cmp::Reverse(summary.created));
    Ok(listed)
}

fn shared_sizes(store: &Store) -> Result<HashMap<Digest, i64>> {
    Ok(store.usage()?.images.into_iter().map(|usage| (usage.id, usage.shared as i64)).collect())
}

/// The image with all its names; neither containers nor shared size are counted.
pub(super) fn summary(known: &Known) -> Summary {
    Summary {
        containers: -1,
        created: known.created().map_or(0, |created| created.seconds),
        id: known.image.id.to_string(),
        labels: known.config.config.as_ref().map(|_| known.labels()).filter(|labels| !labels.is_empty()),
        parent_id: known.image.parent.as_ref().map(Digest::to_string).unwrap_or_default(),
        repo_digests: known.digests(),
        repo_tags: known.tags(),
        shared_size: -1,
        size: known.image.size as i64,
        virtual_size: 0,
        manifests: Vec::new(),
    }
}

/// The filters, their images and times looked up once.
struct Filter<'a> {
    filters: &'a Filters,
    dangling: Option<bool>,
    before: Option<Timestamp>,
    since: Option<Timestamp>,
}

impl<'a> Filter<'a> {
    fn new(filters: &'a Filters, store: &Store) -> Result<Self> {
        let dangling =
            filters.contains("dangling").then(|| filters.bool_or("dangling", false)).transpose()?;
        let mut before: Option<Timestamp> = None;
        let mut since: Option<Timestamp> = None;
        for name in filters.get("before") {
            let created = Known::resolve(store, name)?.created();
            before = [before, created].into_iter().flatten().min();
        }
        for text in filters.get("until") {
            before = [before, Some(until(text)?)].into_iter().flatten().min();
        }
        for name in filters.get("since") {
            since = since.max(Known::resolve(store, name)?.created());
        }
        Ok(Self { filters, dangling, before, since })
    }

    fn admits(&self, known: &Known) -> bool {
        let created = known.created();
        let old = self.before.is_none_or(|limit| created.is_some_and(|created| created < limit));
        let new = self.since.is_none_or(|limit| created.is_some_and(|created| created > limit));
        old && new && self.filters.match_labels("label", &known.labels())
    }

    /// Leaves only the names that match the `reference` patterns.
    fn keep_matching(&self, known: &Known, summary: &mut Summary) -> Result<()> {
        if !self.filters.contains("reference") {
            return Ok(());
        }
        let matching = |names: &[Reference]| {
            let mut kept = Vec::new();
            for name in names {
                if self.matches(name)? {
                    kept.push(name.familiar());
                }
            }
            Ok::<_, Error>(kept)
        };
        summary.repo_tags = matching(&known.image.names)?;
        summary.repo_digests = matching(&known.image.repo_digests)?;
        Ok(())
    }

    fn matches(&self, name: &Reference) -> Result<bool> {
        for pattern in self.filters.get("reference") {
            let hit = |text: &str| {
                glob::matches(pattern, text).map_err(|_| Error::invalid("syntax error in pattern"))
            };
            if hit(&name.familiar())? || hit(&name.familiar_name())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether an image with these names is shown; `shown` tells whether it is when it has none.
    fn admits_names(&self, summary: &Summary, shown: bool) -> bool {
        let nameless = summary.repo_tags.is_empty() && summary.repo_digests.is_empty();
        if !nameless {
            return self.dangling != Some(true) || summary.repo_tags.is_empty();
        }
        shown && self.dangling != Some(false) && !self.filters.contains("reference")
    }
}

/// The time of an `until` filter.
pub(super) fn until(text: &str) -> Result<Timestamp> {
    let now = Timestamp::from_system(SystemTime::now());
    Timestamp::parse_parameter(text, now, 0)
        .ok_or_else(|| InvalidFilter::Value("until".to_owned(), format!("[{text}]")).into())
}
