//! Many at once: loads, deletions, containers and saves of images that share layers never disturb each other.

use boxship_image::{LoadOptions, SaveItem, SaveOptions};
use boxship_store::{Error as StoreError, Store};

use super::{Yard, docker_archive, tar};

const THREADS: usize = 4;
const TURNS: usize = 12;

#[test]
fn nothing_that_is_used_is_collected() {
    let yard = Yard::new();
    let base = tar(&[("base", &[1; 100_000])]);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (store, base) = (&yard.store, &base);
            scope.spawn(move || (0..TURNS).for_each(|turn| take_turn(store, base, thread, turn)));
        }
    });
    yard.store.sweep().unwrap();
    assert_eq!(yard.counts(), [0; 4]);
}

fn take_turn(store: &Store, base: &[u8], thread: usize, turn: usize) {
    // Two threads each load the very same images, all share the lowest layer.
    let name = format!("image:{}-{turn}", thread % 2);
    let own = tar(&[("own", name.as_bytes())]);
    let bytes = docker_archive(&[&name], &[base, &own]);
    let loaded = boxship_image::load(store, &mut &bytes[..], &LoadOptions::default(), &mut |_| {}).unwrap();
    let id = loaded[0].id.clone();
    let container = format!("c{thread}-{turn}");
    // The other thread may have deleted it already; but if it is there, all of it is.
    let prepared = match store.snapshots().prepare(&container, &id) {
        Ok(_) => true,
        Err(StoreError::NoSuchImage(_)) => false,
        Err(error) => panic!("{error:?}"),
    };
    if prepared {
        let mount = store.snapshots().mount(&container).unwrap();
        assert_eq!(std::fs::read(mount.lower[0].join("own")).unwrap(), name.as_bytes());
        assert_eq!(std::fs::read(mount.lower[1].join("base")).unwrap().len(), 100_000);
    }
    let mut saved = Vec::new();
    let item = SaveItem { id: id.clone(), names: Vec::new() };
    match boxship_image::save(store, &[item], &SaveOptions::default(), &mut saved) {
        Ok(()) => assert!(saved.len() > 100_000),
        Err(boxship_image::Error::Store(StoreError::NoSuchImage(_) | StoreError::NoSuchBlob(_))) => {}
        Err(error) => panic!("{error:?}"),
    }
    match store.images().delete(&id) {
        Ok(_) | Err(StoreError::NoSuchImage(_)) => {}
        Err(error) => panic!("{error:?}"),
    }
    // Without a row it only throws the folder away.
    store.snapshots().remove(&container).unwrap();
    if turn.is_multiple_of(3) {
        store.collect().unwrap();
        let _ = store.sweep();
    }
}
