//! Proofs against the algorithms of the RFC, for every record and every size of the tree that somebody may have seen.

use super::checkpoints::{key, lived, notes};
use super::*;
use crate::audit::line::leaf;

/// RFC 9162, 2.1.3.2, word by word.
pub(super) fn includes(proof: &Inclusion) -> bool {
    let node = |left: &Sha256, right: &Sha256| Sha256::of_parts(&[&[1], left.as_bytes(), right.as_bytes()]);
    let (mut fn_, mut sn, mut r) = (proof.index, proof.size - 1, leaf(proof.line.as_bytes()));
    for p in &proof.path {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            r = node(p, &r);
            if fn_ & 1 == 0 {
                while fn_ & 1 == 0 && fn_ != 0 {
                    (fn_, sn) = (fn_ >> 1, sn >> 1);
                }
            }
        } else {
            r = node(&r, p);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    sn == 0 && r == proof.root
}

/// RFC 9162, 2.1.4.2, word by word.
fn goes_on(proof: &Consistency) -> bool {
    let node = |left: &Sha256, right: &Sha256| Sha256::of_parts(&[&[1], left.as_bytes(), right.as_bytes()]);
    let mut path = proof.proof.clone();
    if proof.old_size.is_power_of_two() {
        path.insert(0, proof.old_root);
    }
    let (mut fn_, mut sn) = (proof.old_size - 1, proof.size - 1);
    while fn_ & 1 == 1 {
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    let (mut fr, mut sr) = (path[0], path[0]);
    for c in &path[1..] {
        if sn == 0 {
            return false;
        }
        if fn_ & 1 == 1 || fn_ == sn {
            (fr, sr) = (node(c, &fr), node(c, &sr));
            if fn_ & 1 == 0 {
                while fn_ & 1 == 0 && fn_ != 0 {
                    (fn_, sn) = (fn_ >> 1, sn >> 1);
                }
            }
        } else {
            sr = node(&sr, c);
        }
        (fn_, sn) = (fn_ >> 1, sn >> 1);
    }
    (fr, sr, sn) == (proof.old_root, proof.root, 0)
}

#[tokio::test]
async fn each_record_is_proven_by_the_algorithm_of_the_rfc_and_nothing_else_is() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    lived(&room, 12).await;
    let (key, kept) = (key(&room), notes(&room));
    let size = Checkpoint::read(&kept[2], std::slice::from_ref(&key)).unwrap().size;
    for seq in (0..size).step_by(5) {
        let proof = prove_inclusion(&room.dir, Seq(seq), None).unwrap();
        assert!(includes(&proof) && proof.line.contains(&format!("\"seq\":{seq},")), "{proof:?}");
        assert_eq!(Checkpoint::read(&proof.checkpoint, std::slice::from_ref(&key)).unwrap().root, proof.root);
        let other = Inclusion { line: proof.line.replace("\"v\":1", "\"v\":2"), ..proof };
        assert!(!includes(&other));
    }
    let old = prove_inclusion(&room.dir, Seq(3), Some(&kept[0])).unwrap();
    assert!(includes(&old) && old.checkpoint == kept[0]);
    let refused = |seq| prove_inclusion(&room.dir, Seq(seq), Some(&kept[0])).map(|_| ()).unwrap_err();
    assert!(matches!(refused(size - 1), ProveError::NotSigned(_)));
    for (from, to) in [(0, 1), (0, 2), (1, 2), (2, 2)] {
        let proof = prove_consistency(&room.dir, &kept[from], &kept[to]).unwrap();
        assert!(from == to || goes_on(&proof), "{proof:?}");
    }
    assert!(prove_consistency(&room.dir, &kept[2], &kept[0]).is_err());
    // Every size that a witness may have seen, from the lines behind it alone: the oldest segment is gone.
    let newest = Checkpoint::read(&kept[2], &[]).unwrap();
    let segments = room.segments();
    let second: u64 = segments[1].file_stem().unwrap().to_str().unwrap().parse().unwrap();
    let aside = room.dir.with_extension("aside");
    std::fs::rename(&segments[0], &aside).unwrap();
    for old in second..size {
        let proof = prove_growth(&room.dir, old, &newest).unwrap();
        assert!(goes_on(&proof) && proof.old_size == old, "{proof:?}");
    }
    assert!(matches!(prove_growth(&room.dir, second - 1, &newest), Err(ProveError::Incomplete)));
    std::fs::rename(&aside, &segments[0]).unwrap();
    // A line that is not what was signed proves nothing.
    edit(&room.segments()[0], |bytes| bytes[600] ^= 1);
    assert!(prove_inclusion(&room.dir, Seq(size - 1), None).is_err());
}
