use alloy_consensus::TxType;
use alloy_primitives::{B256, Bloom, Bytes, Log};
use alloy_rlp::{BufMut, Decodable, Encodable, Header};

/// How a transaction ended, as its receipt says it in its era.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReceiptOutcome {
    /// Before Byzantium: the state root after the transaction.
    StateRoot(B256),
    /// Since Byzantium (EIP-658): whether it succeeded.
    Status(bool),
}

/// A transaction's receipt. The bloom is not kept: it follows from the logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The transaction's EIP-2718 type.
    pub tx_type: TxType,
    /// Status or state root.
    pub outcome: ReceiptOutcome,
    /// Gas used in the block up to and with this transaction.
    pub cumulative_gas_used: u64,
    /// Logs in order.
    pub logs: Vec<Log>,
}

impl Receipt {
    /// The logs' bloom filter.
    pub fn bloom(&self) -> Bloom {
        alloy_primitives::logs_bloom(&self.logs)
    }

    /// The consensus form: type byte (if typed) and RLP list, as in the receipt trie.
    pub fn encode_2718(&self, out: &mut dyn BufMut) {
        self.encode_with(&self.bloom(), out);
    }

    /// The same with the bloom at hand.
    fn encode_with(&self, bloom: &Bloom, out: &mut dyn BufMut) {
        if self.tx_type != TxType::Legacy {
            out.put_u8(self.tx_type as u8);
        }
        let payload = self.outcome_length() + self.cumulative_gas_used.length() + bloom.length() + self.logs.length();
        Header { list: true, payload_length: payload }.encode(out);
        self.encode_outcome(out);
        self.cumulative_gas_used.encode(out);
        bloom.encode(out);
        self.logs.encode(out);
    }

    /// The stored form: RLP list of type, outcome, cumulative gas, logs; no bloom.
    pub fn encode_stored(&self, out: &mut dyn BufMut) {
        let kind = self.tx_type as u8;
        let payload = kind.length() + self.outcome_length() + self.cumulative_gas_used.length() + self.logs.length();
        Header { list: true, payload_length: payload }.encode(out);
        kind.encode(out);
        self.encode_outcome(out);
        self.cumulative_gas_used.encode(out);
        self.logs.encode(out);
    }

    /// Reads the stored form.
    pub fn decode_stored(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let mut list = Header::decode_bytes(buf, true)?;
        let kind = u8::decode(&mut list)?;
        let tx_type = TxType::try_from(kind).map_err(|_| alloy_rlp::Error::Custom("unknown transaction type"))?;
        let receipt = Self {
            tx_type,
            outcome: Self::decode_outcome(&mut list)?,
            cumulative_gas_used: Decodable::decode(&mut list)?,
            logs: Decodable::decode(&mut list)?,
        };
        if !list.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        Ok(receipt)
    }

    /// Reads the consensus form; a bloom that does not fit the logs is an error.
    pub fn decode_2718(buf: &mut &[u8]) -> alloy_rlp::Result<Self> {
        let first = *buf.first().ok_or(alloy_rlp::Error::InputTooShort)?;
        let tx_type = if first < 0x80 {
            *buf = &buf[1..];
            TxType::try_from(first).map_err(|_| alloy_rlp::Error::Custom("unknown transaction type"))?
        } else {
            TxType::Legacy
        };
        let mut list = Header::decode_bytes(buf, true)?;
        let outcome = Self::decode_outcome(&mut list)?;
        let cumulative_gas_used = Decodable::decode(&mut list)?;
        let bloom = Bloom::decode(&mut list)?;
        let receipt = Self { tx_type, outcome, cumulative_gas_used, logs: Decodable::decode(&mut list)? };
        if !list.is_empty() {
            return Err(alloy_rlp::Error::UnexpectedLength);
        }
        if receipt.bloom() != bloom {
            return Err(alloy_rlp::Error::Custom("bloom does not fit the logs"));
        }
        Ok(receipt)
    }

    fn outcome_length(&self) -> usize {
        match &self.outcome {
            ReceiptOutcome::StateRoot(root) => root.length(),
            ReceiptOutcome::Status(ok) => ok.length(),
        }
    }

    fn encode_outcome(&self, out: &mut dyn BufMut) {
        match &self.outcome {
            ReceiptOutcome::StateRoot(root) => root.encode(out),
            ReceiptOutcome::Status(ok) => ok.encode(out),
        }
    }

    fn decode_outcome(buf: &mut &[u8]) -> alloy_rlp::Result<ReceiptOutcome> {
        match Header::decode_bytes(buf, false)? {
            [] => Ok(ReceiptOutcome::Status(false)),
            [1] => Ok(ReceiptOutcome::Status(true)),
            root if root.len() == 32 => Ok(ReceiptOutcome::StateRoot(B256::from_slice(root))),
            _ => Err(alloy_rlp::Error::Custom("receipt outcome is neither status nor state root")),
        }
    }
}

/// Root of the receipt trie, over the consensus forms in order.
pub fn receipts_root(receipts: &[Receipt]) -> B256 {
    receipts_root_and_bloom(receipts).0
}

/// Root of the receipt trie, and the bloom filter of all logs; each receipt's own filter is made once for both.
pub fn receipts_root_and_bloom(receipts: &[Receipt]) -> (B256, Bloom) {
    let blooms: Vec<_> = receipts.iter().map(|receipt| (receipt, receipt.bloom())).collect();
    let root = alloy_trie::root::ordered_trie_root_with_encoder(&blooms, |(receipt, bloom), out| {
        receipt.encode_with(bloom, out);
    });
    let mut all = Bloom::ZERO;
    blooms.iter().for_each(|(_, bloom)| all.accrue_bloom(bloom));
    (root, all)
}

impl Receipt {
    /// Many receipts in their stored form, as one RLP list.
    pub fn encode_stored_list(receipts: &[Self]) -> Bytes {
        let mut payload = Vec::new();
        for receipt in receipts {
            receipt.encode_stored(&mut payload);
        }
        let mut out = Vec::with_capacity(payload.len() + 9);
        Header { list: true, payload_length: payload.len() }.encode(&mut out);
        out.extend_from_slice(&payload);
        out.into()
    }

    /// Reads what [`Receipt::encode_stored_list`] wrote.
    pub fn decode_stored_list(mut buf: &[u8]) -> alloy_rlp::Result<Vec<Self>> {
        let mut list = Header::decode_bytes(&mut buf, true)?;
        let mut receipts = Vec::new();
        while !list.is_empty() {
            receipts.push(Self::decode_stored(&mut list)?);
        }
        Ok(receipts)
    }
}
