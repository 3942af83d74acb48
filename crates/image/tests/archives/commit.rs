//! Containers' changes as images.

use std::fs;

use boxship_image::{Commit, commit};
use boxship_oci::Reference;
use boxship_oci::image::ContainerConfig;

use super::{Yard, docker_archive, tar};

fn wanted(yard: &Yard, upper: &std::path::Path) -> Commit {
    Commit {
        parent: yard.store.images().resolve("app:1").unwrap().id,
        upper: upper.to_owned(),
        config: ContainerConfig { user: Some("me".to_owned()), ..ContainerConfig::default() },
        name: Some(Reference::parse_tagged("made:1").unwrap()),
        author: "somebody".to_owned(),
        comment: String::new(),
        command: "sh -c x".to_owned(),
    }
}

#[test]
fn changes_become_one_more_layer() {
    let yard = Yard::new();
    let base = tar(&[("etc/hello", b"hi")]);
    yard.load(&docker_archive(&["app:1"], &[&base])).unwrap();
    let upper = tempfile::tempdir().unwrap();
    fs::write(upper.path().join("new"), "more").unwrap();
    let id = commit(&yard.store, &wanted(&yard, upper.path())).unwrap();
    let image = yard.store.images().resolve("made:1").unwrap();
    assert_eq!((image.id.clone(), image.layers.len(), image.size), (id.clone(), 2, 6));
    assert_eq!(image.parent, Some(yard.store.images().resolve("app:1").unwrap().id));
    let config = boxship_image::config(&yard.store, &id).unwrap();
    assert_eq!(config.rootfs.diff_ids.len(), 2);
    let last = config.history.last().unwrap();
    assert_eq!((last.created_by.as_deref(), last.author.as_deref()), (Some("sh -c x"), Some("somebody")));
    assert!(last.comment.is_none() && !last.empty_layer);
    assert_eq!(config.config.unwrap().user.as_deref(), Some("me"));
    // What was made can go out and come in again.
    let loaded = Yard::new().load(&yard.save(&["made:1"])).unwrap();
    assert_eq!(loaded[0].id, id);
}

#[test]
fn nothing_changed_makes_no_layer_and_failures_leave_nothing() {
    let yard = Yard::new();
    yard.load(&docker_archive(&["app:1"], &[&tar(&[("a", b"a")])])).unwrap();
    let upper = tempfile::tempdir().unwrap();
    let before = yard.counts();
    let missing = upper.path().join("missing");
    assert!(commit(&yard.store, &wanted(&yard, &missing)).is_err());
    assert_eq!(yard.counts(), before);
    let id = commit(&yard.store, &wanted(&yard, upper.path())).unwrap();
    assert_eq!(yard.store.images().resolve("made:1").unwrap().layers.len(), 1);
    assert!(boxship_image::config(&yard.store, &id).unwrap().history.last().unwrap().empty_layer);
}
