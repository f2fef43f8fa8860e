"""What stands in an MQTT packet, read by somebody else."""

from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from appliance.uplink.packets import publish_properties

WORDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\uffff\ufffe"), max_size=200
)


@given(
    WORDS,
    st.none() | st.integers(0, 2**32 - 1),
    st.lists(st.tuples(WORDS, WORDS), max_size=8),
    st.none() | st.binary(max_size=300),
)
def test_paho_reads_the_properties_that_were_meant(content_type, expiry_s, attributes, correlation):
    written = publish_properties(content_type, expiry_s, attributes, correlation).pack()
    read = Properties(PacketTypes.PUBLISH)
    _, length = read.unpack(written)
    assert length == len(written)
    assert read.ContentType == content_type
    assert getattr(read, "MessageExpiryInterval", None) == expiry_s
    assert getattr(read, "UserProperty", []) == attributes
    assert getattr(read, "CorrelationData", None) == correlation
