//! The programs on a bridge, in the kernel's own instructions. Pure.
//!
//! They know nothing of flows or ports: what they look for is whether the table has seen a packet. It tells by the
//! packet's priority ([`SEEN`]), which forwarding sets anew and which does not cross into another namespace.

use boxship_sys::bpf::{Instruction, Side};
use ipnet::IpNet;

use super::Network;

/// The priority of a packet that the table has seen: no class of traffic and no band of a queue (its low half is zero).
pub(crate) const SEEN: u32 = 0x5eb0_0000;

// Operation codes (Documentation/bpf/standardization/instruction-set.rst).
const LOAD_WORD: u8 = 0x61;
const STORE_WORD: u8 = 0x63;
const ADD: u8 = 0x07;
const AND_32: u8 = 0x54;
const MOVE: u8 = 0xb7;
const MOVE_32: u8 = 0xb4;
const MOVE_REGISTER: u8 = 0xbf;
const JUMP: u8 = 0x05;
const IF_EQUAL: u8 = 0x15;
const IF_NOT_EQUAL: u8 = 0x55;
const IF_EQUAL_REGISTER: u8 = 0x1d;
const IF_NOT_EQUAL_REGISTER: u8 = 0x5d;
const CALL: u8 = 0x85;
const EXIT: u8 = 0x95;

// Helpers of the kernel.
const SKB_LOAD_BYTES: i32 = 26;
const SKB_CHANGE_TYPE: i32 = 32;
const GET_SOCKET_COOKIE: i32 = 46;

// Places in `struct __sk_buff`.
const PACKET_TYPE: i16 = 4;
const PROTOCOL: i16 = 16;
const VLAN_TAG: i16 = 24;
const PRIORITY: i16 = 32;
const INGRESS: i16 = 36;

const HOST: i32 = 0;
const MULTICAST: i32 = 2;
const IPV4: i32 = 0x0800_u16.to_be() as i32;
const IPV6: i32 = 0x86dd_u16.to_be() as i32;
/// A tag behind a tag (802.1Q, 802.1ad).
const TAGS: [i32; 2] = [0x8100_u16.to_be() as i32, 0x88a8_u16.to_be() as i32];
/// The part of a tag that names a VLAN; where it is zero the kernel takes the frame as one without a tag.
const VLAN: i32 = 0xfff;
/// Where the destination stands behind an Ethernet header.
const DESTINATION4: i32 = 14 + 16;
const DESTINATION6: i32 = 14 + 24;
/// The word with IPv6's length, its next header and the hops that are left.
const NEXT6: i32 = 14 + 4;
/// Next headers of IPv6 before which a fragment's may stand, and a fragment's own.
const EXTENSIONS: [u8; 4] = [0, 43, 44, 60];
/// Where it is copied to, below the stack's frame.
const COPY: i16 = -16;

// What a program answers: whoever else judges the packet goes on, or nobody.
const NEXT: i32 = -1;
const SHOT: i32 = 2;

// Registers: scratch ones, and those that a call leaves alone.
const A: u8 = 2;
const B: u8 = 3;
const CONTEXT: u8 = 6;
const KEPT: u8 = 7;
const WORD: u8 = 8;
const FRAME: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Label {
    Pass,
    Drop,
    Clear,
    Beyond,
    V4,
    V6,
    Change,
    Extended,
    /// The look at the subnet after this one.
    After(usize),
}

#[derive(Default)]
struct Program {
    code: Vec<Instruction>,
    jumps: Vec<(usize, Label)>,
    labels: Vec<(Label, usize)>,
}

/// The program of one side of a network's bridge; `None` when it has too many subnets for one.
pub(super) fn of(network: &Network, side: Side) -> Option<Vec<Instruction>> {
    match side {
        Side::Ingress => ingress(network),
        Side::Egress => egress(),
    }
}

/// What comes up from the network. Packets for the network's own addresses pass; those for the host's loopback never
/// do, for its bridges lead there for the sake of ports published there. What is for elsewhere gets the type of a
/// packet that the kernel neither forwards nor hands to a TCP socket, until the table takes it back; from an internal
/// network it does not pass at all. By an administrator's bridge the host is reached at any of its addresses, perhaps by
/// the administrator alone: it has to be without the table, too.
fn ingress(network: &Network) -> Option<Vec<Instruction>> {
    // Bridged frames may have met the table already (br_netfilter).
    let mut program = Program::of_unseen(PACKET_TYPE);
    program.jump_if(IF_EQUAL, A, IPV4, Label::V4);
    program.jump_if(IF_EQUAL, A, IPV6, Label::V6);
    for tag in TAGS {
        // The kernel takes off one after the other, and what is inside would be seen by nobody.
        program.jump_if(IF_EQUAL, A, tag, Label::Drop);
    }
    program.jump(Label::Pass);

    let elsewhere = if network.internal { Label::Drop } else { Label::Beyond };
    program.judge4(&network.subnets, elsewhere);
    program.judge6(&network.subnets, elsewhere);
    // The kernel refuses code that nothing leads to.
    if !network.internal {
        program.turn_away(network.foreign);
    }
    program.end()
}

/// What the host sends into the network: its own packets pass, forwarded ones if the table has seen them. When the
/// kernel cuts a forwarded packet of IPv6 anew, nothing tells where the pieces came from, but no socket has sent them.
fn egress() -> Option<Vec<Instruction>> {
    let mut program = Program::of_unseen(INGRESS);
    program.jump_if(IF_EQUAL, A, IPV6, Label::V6);
    program.jump_if(IF_NOT_EQUAL, A, IPV4, Label::Pass);
    program.jump_if(IF_EQUAL, KEPT, 0, Label::Pass);
    program.jump(Label::Drop);

    program.label(Label::V6);
    program.jump_if(IF_NOT_EQUAL, KEPT, 0, Label::Drop);
    program.copy_packet(NEXT6, 4);
    for next in EXTENSIONS {
        program.if_masked([0, 0, 0xff, 0], [0, 0, next, 0], Label::Extended);
    }
    program.jump(Label::Pass);
    program.label(Label::Extended);
    program.copy_packet(DESTINATION6, 4);
    // The kernel's own words on groups.
    program.if_masked([0xff, 0, 0, 0], [0xff, 0, 0, 0], Label::Pass);
    program.copy(1, CONTEXT);
    program.push(CALL, 0, 0, 0, GET_SOCKET_COOKIE);
    program.jump_if(IF_EQUAL, 0, 0, Label::Drop);
    program.jump(Label::Pass);
    program.end()
}

impl Program {
    /// Begins it: what the table has seen is done with, and what is for a VLAN's link is none of ours. Of the rest a field
    /// is kept, and the protocol is at hand.
    fn of_unseen(kept: i16) -> Self {
        let mut program = Self::default();
        program.copy(CONTEXT, 1);
        program.load(A, CONTEXT, PRIORITY);
        program.jump_if(IF_EQUAL, A, SEEN.cast_signed(), Label::Clear);
        program.load(A, CONTEXT, VLAN_TAG);
        program.push(AND_32, A, 0, 0, VLAN);
        program.jump_if(IF_NOT_EQUAL, A, 0, Label::Pass);
        program.load(KEPT, CONTEXT, kept);
        program.load(A, CONTEXT, PROTOCOL);
        program
    }

    /// Where a packet of IPv4 from the network is for.
    fn judge4(&mut self, subnets: &[IpNet], elsewhere: Label) {
        self.label(Label::V4);
        self.copy_packet(DESTINATION4, 4);
        self.if_masked([255, 0, 0, 0], [127, 0, 0, 0], Label::Drop);
        for subnet in subnets {
            if let IpNet::V4(subnet) = subnet {
                self.if_masked(subnet.netmask().octets(), subnet.network().octets(), Label::Pass);
            }
        }
        self.if_masked([0xf0, 0, 0, 0], [0xe0, 0, 0, 0], Label::Pass);
        self.if_masked([0xff; 4], [0xff; 4], Label::Pass);
        self.jump(elsewhere);
    }

    /// Where a packet of IPv6 from the network is for.
    fn judge6(&mut self, subnets: &[IpNet], elsewhere: Label) {
        self.label(Label::V6);
        self.copy_packet(DESTINATION6, 16);
        self.if_masked([0xff, 0, 0, 0], [0xff, 0, 0, 0], Label::Pass);
        self.if_masked([0xff, 0xc0, 0, 0], [0xfe, 0x80, 0, 0], Label::Pass);
        for (number, subnet) in subnets.iter().enumerate() {
            if let IpNet::V6(subnet) = subnet {
                self.if_within(&subnet.netmask().octets(), &subnet.network().octets(), number);
            }
        }
        self.jump(elsewhere);
    }

    /// Gives what is for elsewhere the type of a multicast.
    fn turn_away(&mut self, foreign: bool) {
        self.label(Label::Beyond);
        if !foreign {
            self.jump_if(IF_EQUAL, KEPT, HOST, Label::Change);
        }
        // A frame for many with a packet for one: the table could not tell it from what is changed here.
        self.jump_if(IF_EQUAL, KEPT, MULTICAST, Label::Drop);
        self.jump(Label::Pass);
        if foreign {
            return;
        }
        self.label(Label::Change);
        self.copy(1, CONTEXT);
        self.push(MOVE, A, 0, 0, MULTICAST);
        self.push(CALL, 0, 0, 0, SKB_CHANGE_TYPE);
        self.jump(Label::Pass);
    }

    fn push(&mut self, code: u8, to: u8, from: u8, offset: i16, immediate: i32) {
        self.code.push(Instruction { code, registers: to | from << 4, offset, immediate });
    }

    fn copy(&mut self, to: u8, from: u8) {
        self.push(MOVE_REGISTER, to, from, 0, 0);
    }

    fn load(&mut self, to: u8, from: u8, offset: i16) {
        self.push(LOAD_WORD, to, from, offset, 0);
    }

    fn jump(&mut self, to: Label) {
        self.jump_if(JUMP, 0, 0, to);
    }

    fn jump_if(&mut self, code: u8, register: u8, value: i32, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(code, register, 0, 0, value);
    }

    fn jump_by_register(&mut self, code: u8, register: u8, other: u8, to: Label) {
        self.jumps.push((self.code.len(), to));
        self.push(code, register, other, 0, 0);
    }

    fn label(&mut self, label: Label) {
        self.labels.push((label, self.code.len()));
    }

    /// Copies a part of the packet to the stack, its first word to a register. What is too short is dropped.
    fn copy_packet(&mut self, offset: i32, length: i32) {
        self.copy(1, CONTEXT);
        self.push(MOVE, A, 0, 0, offset);
        self.copy(B, FRAME);
        self.push(ADD, B, 0, 0, COPY.into());
        self.push(MOVE, 4, 0, 0, length);
        self.push(CALL, 0, 0, 0, SKB_LOAD_BYTES);
        self.jump_if(IF_NOT_EQUAL, 0, 0, Label::Drop);
        self.load(WORD, FRAME, COPY);
    }

    /// Jumps when the first word is the value where the mask counts.
    fn if_masked(&mut self, mask: [u8; 4], value: [u8; 4], to: Label) {
        self.copy(A, WORD);
        self.push(AND_32, A, 0, 0, i32::from_ne_bytes(mask));
        self.push(MOVE_32, B, 0, 0, i32::from_ne_bytes(value));
        self.jump_by_register(IF_EQUAL_REGISTER, A, B, to);
    }

    /// Lets pass what is for a subnet of IPv6.
    fn if_within(&mut self, mask: &[u8; 16], value: &[u8; 16], number: usize) {
        let words = mask.as_chunks::<4>().0.iter().zip(value.as_chunks::<4>().0).zip(0_i16..);
        for ((mask, value), word) in words.filter(|((mask, _), _)| **mask != [0; 4]) {
            self.load(A, FRAME, COPY + 4 * word);
            self.push(AND_32, A, 0, 0, i32::from_ne_bytes(*mask));
            self.push(MOVE_32, B, 0, 0, i32::from_ne_bytes(*value));
            self.jump_by_register(IF_NOT_EQUAL_REGISTER, A, B, Label::After(number));
        }
        self.jump(Label::Pass);
        self.label(Label::After(number));
    }

    /// Ends it: what was seen loses the sign of it and passes.
    fn end(mut self) -> Option<Vec<Instruction>> {
        self.label(Label::Clear);
        self.push(MOVE, A, 0, 0, 0);
        self.push(STORE_WORD, CONTEXT, A, PRIORITY, 0);
        for (label, answer) in [(Label::Pass, NEXT), (Label::Drop, SHOT)] {
            self.label(label);
            self.push(MOVE, 0, 0, 0, answer);
            self.push(EXIT, 0, 0, 0, 0);
        }
        for (at, label) in self.jumps {
            let (_, to) = self.labels.iter().find(|(known, _)| *known == label)?;
            self.code[at].offset = i16::try_from(to - at - 1).ok()?;
        }
        Some(self.code)
    }
}

#[cfg(test)]
mod tests {
    use boxship_sys::bpf::load_packet_filter;

    use super::*;

    #[test]
    fn the_kernel_takes_them() {
        let subnets = |number: u32| -> Vec<IpNet> {
            let of =
                |n: u32| [format!("10.{n}.0.0/17"), format!("fd00:{n}::/68"), format!("fd01:{n}::1/128")];
            (0..number).flat_map(of).map(|subnet| subnet.parse().unwrap()).collect()
        };
        for number in [0, 1, 50] {
            for (internal, foreign) in [(false, false), (true, false), (false, true)] {
                let network = Network { subnets: subnets(number), internal, foreign, ..Network::default() };
                for side in [Side::Ingress, Side::Egress] {
                    let program = of(&network, side).unwrap();
                    load_packet_filter(*b"boxship_test\0\0\0\0", &program).unwrap();
                }
            }
        }
        let many = Network { subnets: vec!["fd00::/64".parse().unwrap(); 10_000], ..Network::default() };
        assert_eq!(of(&many, Side::Ingress), None);
    }
}
