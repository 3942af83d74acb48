//! The built-in image loads: the shortest way through the whole crate.

use super::*;
use boxship_store::Paths;

fn store() -> (tempfile::TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(Paths::new(dir.path().join("data"), dir.path().join("exec"))).unwrap();
    (dir, store)
}

#[test]
fn hello_world_loads() {
    let (_dir, store) = store();
    let archive = crate::hello::archive();
    let mut events = 0;
    let loaded = load(&store, &mut &archive[..], &LoadOptions::default(), &mut |_| events += 1).unwrap();
    assert_eq!(loaded.len(), 1);
    assert_eq!(loaded[0].names[0].familiar(), "hello-world:latest");
    assert!(events > 0);
    let image = store.images().resolve("hello-world").unwrap();
    assert_eq!(image.id, loaded[0].id);
    let chain = store.layers().chain(image.top().unwrap()).unwrap();
    assert!(chain[0].path.join("hello").metadata().unwrap().len() > 100);
}
