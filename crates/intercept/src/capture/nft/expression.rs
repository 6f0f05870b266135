//! Matches and actions as the expressions of nftables, each of which loads a value into the register,
//! looks at it or uses it.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    capture::{
        DIAL_MARK, DIAL_MASK, MASK,
        plan::{Action, Family, Match},
    },
    netlink::Attributes,
};

/// `NFT_REG_VERDICT` and `NFT_REG_1`: one register is enough, but where a set is looked up by two values
/// that lie side by side. The first begins there too, the second four or sixteen bytes on: at
/// `NFT_REG32_01` or `NFT_REG_2`.
const VERDICT: u32 = 0;
const REGISTER: u32 = 1;
const BESIDE_V4: u32 = 9;
const BESIDE_V6: u32 = 2;

/// `NFTA_LIST_ELEM`, and the name and the attributes of an expression.
const ELEMENT: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;

/// `NFTA_DATA_VALUE`; `NFTA_DATA_VERDICT`, `NFTA_VERDICT_CODE` and `NF_ACCEPT`.
const VALUE: u16 = 1;
const DATA_VERDICT: u16 = 2;
const CODE: u16 = 1;
const ACCEPT: u32 = 1;

/// `NFT_CMP_EQ`, `NFT_CMP_NEQ` and `NFT_CMP_GTE`.
const EQUAL: u32 = 0;
const NOT_EQUAL: u32 = 1;
const AT_LEAST: u32 = 5;

/// `NFT_META_MARK`, `_OIFNAME`, `_SKUID`, `_NFPROTO`, `_L4PROTO`.
const META_MARK: u32 = 3;
const META_OUT_INTERFACE: u32 = 7;
const META_USER: u32 = 10;
const META_FAMILY: u32 = 15;
const META_TRANSPORT: u32 = 16;

/// `NFT_CT_MARK`, `NFT_CT_ZONE`; `IP_CT_DIR_ORIGINAL`.
const CONNECTION_MARK: u32 = 3;
const ZONE: u32 = 17;
const ORIGINAL: u8 = 0;

/// `NFT_PAYLOAD_NETWORK_HEADER` and `NFT_PAYLOAD_TRANSPORT_HEADER`.
const NETWORK: u32 = 1;
const TRANSPORT: u32 = 2;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Offset of the destination port, in TCP as in UDP.
const PORT: u32 = 2;
/// Offset of the flags of TCP; FIN, SYN, RST and ACK among them; SYN.
const FLAGS: u32 = 13;
const BEGINNING: u8 = 0x17;
const SYN: u8 = 0x02;
/// `IFNAMSIZ`: how long the name of an interface is in a register.
const INTERFACE_NAME: usize = 16;

/// The expressions of one rule.
#[derive(Default)]
pub(super) struct Expressions(pub(super) Attributes);

impl Expressions {
    pub(super) fn matches(&mut self, it: &Match) {
        match *it {
            Match::From(address) => self.from(address),
            Match::ToNetwork(network, bits) => self.of_network(network, bits),
            Match::NotToLoopback(family) => self.not_to_loopback(family),
            // Only a packet of a socket here has a user, so that any will do.
            Match::OfLocalSocket => self.meta(META_USER).compare(AT_LEAST, &[0; 4]),
            Match::TcpToMemberOf(family, set) => self.member_of(family, set),
            Match::ThroughLoopback => {
                let mut name = [0; INTERFACE_NAME];
                name[..2].copy_from_slice(b"lo");
                self.meta(META_OUT_INTERFACE).is(&name);
            }
            Match::BeginsTcp => {
                self.meta(META_TRANSPORT).is(&[TCP]);
                self.bytes(TRANSPORT, FLAGS, 1);
                self.only(&[BEGINNING], &[0]);
                self.is(&[SYN]);
            }
            Match::Udp => self.meta(META_TRANSPORT).is(&[UDP]),
            Match::ToPort(port) => self.bytes(TRANSPORT, PORT, 2).is(&port.to_be_bytes()),
            Match::NotToPort(port) => self.bytes(TRANSPORT, PORT, 2).is_not(&port.to_be_bytes()),
            Match::Mark(mark) => self.meta(META_MARK).masked().is(&mark.to_ne_bytes()),
            Match::NotMark(mark) => self.meta(META_MARK).masked().is_not(&mark.to_ne_bytes()),
            Match::ConnectionMark(mark) => {
                self.connection_mark().masked().is(&mark.to_ne_bytes());
            }
            Match::Dialled => {
                self.meta(META_MARK)
                    .only(&DIAL_MASK.to_ne_bytes(), &[0; 4])
                    .is(&DIAL_MARK.to_ne_bytes());
            }
        }
    }

    pub(super) fn action(&mut self, action: Action) {
        match action {
            Action::Accept => {
                let (mut code, mut verdict, mut data) = three();
                code.number(CODE, ACCEPT);
                verdict.nest(DATA_VERDICT, &code);
                data.number(1, VERDICT).nest(2, &verdict);
                self.push("immediate", &data);
            }
            Action::Redirect(port) => {
                let mut redirect = Attributes::default();
                redirect.number(1, REGISTER);
                self.load(&port.to_be_bytes()).push("redir", &redirect);
            }
            Action::Source(address) => self.source(address),
            Action::MarkConnection(mark) => {
                self.connection_mark();
                self.only(&(!MASK).to_ne_bytes(), &mark.to_ne_bytes());
                self.put_into("ct", 2, CONNECTION_MARK, 4);
            }
            Action::CopyConnectionMark => {
                self.connection_mark();
                self.put_into("meta", 2, META_MARK, 3);
            }
            Action::Apart(zone) => {
                let mut data = Attributes::default();
                data.number(2, ZONE).put(3, &[ORIGINAL]).number(4, REGISTER);
                self.load(&zone.to_ne_bytes()).push("ct", &data);
            }
        }
    }

    fn family(&mut self, family: Family) {
        self.meta(META_FAMILY).is(&[number(family)]);
    }

    fn from(&mut self, address: IpAddr) {
        self.family(Family::of(address));
        match address {
            IpAddr::V4(address) => self.bytes(NETWORK, 12, 4).is(&address.octets()),
            IpAddr::V6(address) => self.bytes(NETWORK, 8, 16).is(&address.octets()),
        }
    }

    fn not_to_loopback(&mut self, family: Family) {
        self.family(family);
        match family {
            Family::V4 => {
                self.bytes(NETWORK, 16, 4);
                self.only(&[0xff, 0, 0, 0], &[0; 4]);
                self.is_not(&[127, 0, 0, 0]);
            }
            Family::V6 => {
                let loopback = Ipv6Addr::LOCALHOST;
                self.bytes(NETWORK, 24, 16).is_not(&loopback.octets());
            }
        }
    }

    fn of_network(&mut self, network: IpAddr, bits: u8) {
        self.family(Family::of(network));
        match network {
            IpAddr::V4(network) => {
                let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into()));
                let mask = mask.unwrap_or(0).to_be_bytes();
                self.bytes(NETWORK, 16, 4).only(&mask, &[0; 4]);
                self.is(&network.octets());
            }
            IpAddr::V6(network) => {
                let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into()));
                let mask = mask.unwrap_or(0).to_be_bytes();
                self.bytes(NETWORK, 24, 16).only(&mask, &[0; 16]);
                self.is(&network.octets());
            }
        }
    }

    fn member_of(&mut self, family: Family, set: &str) {
        self.family(family);
        self.meta(META_TRANSPORT).is(&[TCP]);
        let beside = match family {
            Family::V4 => {
                self.bytes(NETWORK, 16, 4);
                BESIDE_V4
            }
            Family::V6 => {
                self.bytes(NETWORK, 24, 16);
                BESIDE_V6
            }
        };
        self.bytes_at(beside, TRANSPORT, PORT, 2);
        let mut data = Attributes::default();
        data.text(1, set).number(2, REGISTER);
        self.push("lookup", &data);
    }

    /// `NFT_NAT_SNAT` is 0.
    fn source(&mut self, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.load(&address.octets()),
            IpAddr::V6(address) => self.load(&address.octets()),
        };
        let family = number(Family::of(address)).into();
        let mut data = Attributes::default();
        data.number(1, 0).number(2, family).number(3, REGISTER);
        self.push("nat", &data);
    }

    /// Loads a value.
    fn load(&mut self, value: &[u8]) -> &mut Self {
        let (mut values, mut data) = (Attributes::default(), Attributes::default());
        values.put(VALUE, value);
        data.number(1, REGISTER).nest(2, &values);
        self.push("immediate", &data)
    }

    /// Loads what is known about a packet beside its bytes.
    fn meta(&mut self, key: u32) -> &mut Self {
        let mut data = Attributes::default();
        data.number(1, REGISTER).number(2, key);
        self.push("meta", &data)
    }

    fn connection_mark(&mut self) -> &mut Self {
        let mut data = Attributes::default();
        data.number(1, REGISTER).number(2, CONNECTION_MARK);
        self.push("ct", &data)
    }

    /// Loads bytes of a header.
    fn bytes(&mut self, base: u32, offset: u32, length: u32) -> &mut Self {
        self.bytes_at(REGISTER, base, offset, length)
    }

    fn bytes_at(&mut self, register: u32, base: u32, offset: u32, length: u32) -> &mut Self {
        let mut data = Attributes::default();
        data.number(1, register)
            .number(2, base)
            .number(3, offset)
            .number(4, length);
        self.push("payload", &data)
    }

    fn masked(&mut self) -> &mut Self {
        self.only(&MASK.to_ne_bytes(), &[0; 4])
    }

    /// Keeps the bits of `mask` and flips those of `flip`.
    fn only(&mut self, mask: &[u8], flip: &[u8]) -> &mut Self {
        let (mut masks, mut flips, mut data) = three();
        masks.put(VALUE, mask);
        flips.put(VALUE, flip);
        let length = u32::try_from(mask.len()).unwrap_or(u32::MAX);
        data.number(1, REGISTER)
            .number(2, REGISTER)
            .number(3, length)
            .nest(4, &masks)
            .nest(5, &flips);
        self.push("bitwise", &data)
    }

    fn is(&mut self, value: &[u8]) {
        self.compare(EQUAL, value);
    }

    fn is_not(&mut self, value: &[u8]) {
        self.compare(NOT_EQUAL, value);
    }

    fn compare(&mut self, operator: u32, value: &[u8]) {
        let (mut values, mut data) = (Attributes::default(), Attributes::default());
        values.put(VALUE, value);
        data.number(1, REGISTER)
            .number(2, operator)
            .nest(3, &values);
        self.push("cmp", &data);
    }

    /// Stores the register; the attribute that names the register differs between expressions.
    fn put_into(&mut self, name: &str, key_kind: u16, key: u32, register_kind: u16) {
        let mut data = Attributes::default();
        data.number(key_kind, key).number(register_kind, REGISTER);
        self.push(name, &data);
    }

    fn push(&mut self, name: &str, data: &Attributes) -> &mut Self {
        let mut expression = Attributes::default();
        expression.text(NAME, name).nest(DATA, data);
        self.0.nest(ELEMENT, &expression);
        self
    }
}

fn three() -> (Attributes, Attributes, Attributes) {
    Default::default()
}

/// `NFPROTO_IPV4` and `NFPROTO_IPV6`.
fn number(family: Family) -> u8 {
    match family {
        Family::V4 => 2,
        Family::V6 => 10,
    }
}
