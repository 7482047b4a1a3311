//! New keys where the disk fails between them.

use rustix::io::Errno;

use super::checkpoints::{AT_THE_END, key, open, said, verify_with};
use super::*;
use crate::audit::disk::Op;

const OVERLAP: Duration = Duration::from_secs(3600);

#[tokio::test]
async fn a_second_new_key_waits_until_the_first_is_signed_for() {
    let room = Room::new();
    let journal = open(&room, AT_THE_END);
    let first = key(&room);
    let by = Actor { uid: 0 };
    // The record of the new key is written, the checkpoint that both keys sign is not.
    room.disk.faults.plan(Op::Write, 1, 1, Errno::IO);
    let second = journal.rotate_key(by, OVERLAP).await.unwrap();
    until_going(&journal).await;
    // It is made up for before the next one, or that does not come.
    room.disk.faults.plan(Op::Write, 0, 1, Errno::IO);
    let refused = journal.rotate_key(by, OVERLAP).await;
    assert!(matches!(refused, Err(RotateError::Journal(Reason::JournalHalted))), "{refused:?}");
    assert_eq!(key(&room), second);
    until_going(&journal).await;
    let third = journal.rotate_key(by, OVERLAP).await.unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    for known in [first, second, third] {
        assert_eq!(said(&verify_with(&room, &[known], &[])), "");
    }
}

#[tokio::test]
async fn a_second_new_key_is_signed_for_also_where_the_process_died_in_between() {
    let room = Room::new();
    let journal = open(&room, AT_THE_END);
    let first = key(&room);
    room.disk.faults.plan(Op::Write, 1, 1, Errno::IO);
    journal.rotate_key(Actor { uid: 0 }, OVERLAP).await.unwrap();
    until_going(&journal).await;
    let killed = room.killed();
    for name in ["audit-key", "audit-key.pub", "audit-key.before"] {
        std::fs::copy(room.dir.with_file_name(name), killed.dir.with_file_name(name)).unwrap();
    }
    let again = open(&killed, AT_THE_END);
    again.rotate_key(Actor { uid: 0 }, OVERLAP).await.unwrap();
    again.close().await.unwrap();
    assert_eq!(said(&verify_with(&killed, &[first], &[])), "");
    journal.close().await.unwrap();
    room.verified();
}
