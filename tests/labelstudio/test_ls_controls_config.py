"""Labelling configs: pictures, labels, which tag answers are written with, and hostile XML."""

import pickle

import pytest
from controls_samples import PLAIN, config_with, labelled

from labelstudio_backend.controls import ImageTag, read_config
from labelstudio_backend.errors import ConfigError, RequestError
from labelstudio_backend.values import Picture

IMAGES = '<Image name="left" value="$a.b"/><Image name="pages" valueList="$pages"/>'


def names(config):
    return [control.name for control in config.controls]


def test_the_config_of_a_plain_project():
    config = read_config(PLAIN)
    assert config.images == (ImageTag("image", "image", False),)
    assert names(config) == ["brush", "kp", "box", "poly"]
    assert [control.type for control in config.controls] == [
        "brushlabels",
        "keypointlabels",
        "rectanglelabels",
        "polygonlabels",
    ]
    assert [control.smart for control in config.controls] == [False, True, True, False]
    assert config.notes == ()


def test_tags_of_other_kinds_are_ignored_and_a_missing_image_is_noted():
    config = config_with(
        "<Header value='x'/><Text name='t' value='$text'/><Style>.a{}</Style>",
        "<Choices name='c' toName='image'><Choice value='Blob'/></Choices>",
        "<EllipseLabels name='e' toName='image'><Label value='Blob'/></EllipseLabels>",
        "<TextArea name='a' toName='image'/><Unknown name='u' toName='image'/>",
        '<BrushLabels name="lost" toName="nowhere"><Label value="Blob"/></BrushLabels>',
        '<BrushLabels name="half" toName="image,gone"><Label value="Blob"/></BrushLabels>',
    )
    assert names(config) == ["half"]
    assert config.controls[0].to_names == ("image",)
    lost, half = config.notes
    assert "'lost'" in lost
    assert "'nowhere'" in lost
    assert "'gone'" in half


def test_pictures_by_key_nested_key_list_and_template():
    config = read_config(f"<View>{IMAGES}<Image name='t' value='https://h/$id/x.png'/></View>")
    data = {"a": {"b": "/data/x.png"}, "pages": ["/1.png", "/2.png"], "id": "7"}
    assert config.picture(data) == Picture("/data/x.png")
    assert config.picture(data, "left", 3) == Picture("/data/x.png", 3)
    assert config.picture(data, "pages") == Picture("/1.png")
    assert config.picture(data, "pages", 1) == Picture("/2.png")
    assert config.picture(data, "t") == Picture("https://h/7/x.png")
    assert config.pictures(data) == [
        ("left", None, Picture("/data/x.png")),
        ("pages", 0, Picture("/1.png")),
        ("pages", 1, Picture("/2.png")),
        ("t", None, Picture("https://h/7/x.png")),
    ]


@pytest.mark.parametrize(
    ("key", "data"),
    [
        ("$image", {"image": "x"}),
        ("$a.b", {"a": {"b": "x"}}),
        ("$a.b", {"a.b": "x"}),
        ("$a[1].url", {"a": [{"url": "w"}, {"url": "x"}]}),
        ("$my-key", {"my-key": "x"}),
    ],
)
def test_keys_find_what_label_studio_finds(key, data):
    config = read_config(f'<View><Image name="image" value="{key}"/></View>')
    assert config.picture(data) == Picture("x")


def test_one_tag_without_data_does_not_hide_the_other():
    config = read_config(f"<View>{IMAGES}</View>")
    assert config.pictures({"pages": ["/1.png"]}) == [("pages", 0, Picture("/1.png"))]
    with pytest.raises(RequestError, match="pages"):
        config.pictures({"image": "/1.png"})


@pytest.mark.parametrize(
    "data",
    [{}, {"image": None}, {"image": 7}, {"image": ""}, {"image": {"url": "x"}}, {"image": [1]}],
)
def test_a_task_without_that_picture_is_refused(data):
    with pytest.raises(RequestError, match="'image'"):
        config_with().picture(data)


@pytest.mark.parametrize("item", [2, -1])
def test_a_page_that_is_not_there_is_refused(item):
    config = read_config('<View><Image name="p" valueList="$p"/></View>')
    with pytest.raises(RequestError, match="item_index"):
        config.picture({"p": ["/1.png", "/2.png"]}, "p", item)


def test_no_picture_and_unknown_pictures_are_config_errors():
    with pytest.raises(ConfigError, match="no <Image>"):
        read_config("<View><Text name='t' value='$t'/></View>").picture({"t": "x"})
    with pytest.raises(ConfigError, match="'other'"):
        config_with().picture({"image": "x"}, "other")


def test_tag_and_attribute_names_may_be_written_in_any_case():
    config = read_config(
        "<view><image name='i' VALUE='$i'/><brushlabels name='b' toname='i'>"
        "<label value='A'/></brushlabels></view>"
    )
    assert config.output("A", "i").name == "b"


def test_brush_is_preferred_then_bitmask_polygon_rectangle():
    tags = [
        labelled("RectangleLabels", "r"),
        labelled("PolygonLabels", "p"),
        labelled("BitmaskLabels", "m"),
        labelled("BrushLabels", "b"),
    ]
    expected = ["b", "m", "p", "r"]
    while tags:
        assert config_with(*tags).output("Blob", "image").name == expected.pop(0)
        tags.pop()


def test_sam_output_chooses_and_a_smart_rectangle_comes_last():
    polygon = labelled("PolygonLabels", "p", sam_output="true")
    assert config_with(labelled("BrushLabels", "b"), polygon).output("Blob", "image").name == "p"
    for smart in ({"smart": "true"}, {"smartOnly": "true"}):
        box = labelled("RectangleLabels", "r", **smart)
        assert config_with(box, labelled("PolygonLabels", "p")).output("Blob", "image").name == "p"
        assert config_with(box).output("Blob", "image").name == "r"


def test_the_tag_must_hold_the_label_by_value_alias_or_predicted_value():
    config = config_with(
        labelled("BrushLabels", "b", ["Other"]),
        '<PolygonLabels name="p" toName="image"><View>'
        '<Label value="Cell nucleus" alias="nuc" predicted_values="nucleus, kernel"/>'
        "</View></PolygonLabels>",
    )
    for name in ("Cell nucleus", "nuc", "nucleus", "kernel"):
        control = config.output(name, "image")
        assert control.name == "p"
        assert control.holder(name)[1] == "nuc"
    assert config.output("Other", "image").name == "b"


def test_tags_may_have_aliases_of_their_own_for_the_same_label():
    config = config_with(
        '<KeyPointLabels name="k" toName="image"><Label value="Cell" alias="k1"/></KeyPointLabels>',
        '<BrushLabels name="b" toName="image"><Label value="Cell" alias="b1"/></BrushLabels>',
    )
    control = config.output("k1", "image")
    assert (control.name, config.held("k1", control)[1]) == ("b", "b1")


def test_repeaters_are_not_understood_and_that_is_said():
    config = read_config(
        '<View><Repeater on="$pages" indexFlag="{{n}}">'
        '<Image name="p_{{n}}" value="$pages[{{n}}]"/>'
        '<BrushLabels name="b_{{n}}" toName="p_{{n}}"><Label value="A"/></BrushLabels></Repeater>'
        "</View>"
    )
    assert config.controls == ()
    with pytest.raises(ConfigError, match=r"Repeater.*valueList"):
        config.image()


def test_configs_go_through_a_pickle():
    config = read_config(PLAIN)
    assert pickle.loads(pickle.dumps(config)) == config


def test_a_label_of_its_own_goes_before_the_predicted_value_of_another():
    config = config_with(
        '<BrushLabels name="b" toName="image"><Label value="A" predicted_values="B"/>'
        '<Label value="B"/></BrushLabels>'
    )
    assert config.output("B", "image").holder("B")[1] == "B"


def test_a_label_that_no_output_has_says_which_labels_there_are():
    config = config_with(labelled("BrushLabels", "b", ["Only"]), labelled("KeyPointLabels", "k"))
    with pytest.raises(ConfigError, match=r"'Blob'.*'b' has Only.*BrushLabels"):
        config.output("Blob", "image")
    with pytest.raises(ConfigError, match="none"):
        config_with(labelled("KeyPointLabels", "k")).output("Blob", "image")


def test_each_picture_has_its_own_tags():
    config = read_config(
        '<View><Image name="a" value="$a"/><Image name="b" value="$b"/>'
        '<BrushLabels name="x" toName="a"><Label value="L"/></BrushLabels>'
        '<PolygonLabels name="y" toName="b"><Label value="L"/></PolygonLabels></View>'
    )
    assert config.output("L", "a").name == "x"
    assert config.output("L", "b").name == "y"


def test_without_a_label_an_unlabelled_tag_or_one_with_a_single_label():
    assert config_with('<Brush name="b" toName="image"/>').output(None, "image").name == "b"
    assert config_with(labelled("BrushLabels", "b", ["A"])).output(None, "image").name == "b"
    with pytest.raises(ConfigError, match="No label"):
        config_with(labelled("BrushLabels", "b")).output(None, "image")


def test_unlabelled_tags_take_the_labels_of_labels_tags_for_that_picture():
    config = config_with(
        '<Labels name="l" toName="image"><Label value="A"/></Labels>',
        '<Labels name="m" toName="image"><Label value="B"/></Labels>',
        '<Polygon name="p" toName="image"/>',
    )
    control = config.output("B", "image")
    assert (control.name, control.type) == ("p", "polygon")
    assert control.holder("B")[0].tag == "m"


def test_what_a_batch_does_by_itself():
    assert config_with(labelled("BrushLabels")).automatic("image") == ("prompts", None)
    assert config_with(labelled("BrushLabels", labels=["A"])).automatic("image") == ("prompts", "A")
    everything = {"sam_predict": "everything", "sam_label": "Other"}
    config = config_with(labelled("BrushLabels", **everything))
    assert config.automatic("image") == ("everything", "Other")
    said_elsewhere = labelled("PolygonLabels", "p", sam_predict="none")
    config = config_with(labelled("BrushLabels", "b"), said_elsewhere)
    assert config.automatic("image") == ("none", None)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"sam_predict": "all"}, "prompts, everything, none"),
        ({"sam_label": "Nobody"}, "Blob, Other"),
        ({"sam_predict": "everything"}, "sam_label"),
    ],
)
def test_attributes_of_a_batch_that_cannot_be_used(attributes, message):
    with pytest.raises(ConfigError, match=message):
        config_with(labelled("BrushLabels", **attributes)).automatic("image")


def test_a_batch_that_cannot_write_says_so():
    with pytest.raises(ConfigError, match="BrushLabels"):
        config_with(labelled("KeyPointLabels")).automatic("image")


BILLION = (
    '<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<View><Text name='t' value='&b;'/></View>"
)
OUTSIDE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><View>&f;</View>'


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("<View>", "no XML"),
        ("not xml", "no XML"),
        ("<View>&undefined;</View>", "no XML"),
        ("<View>\x00</View>", "no XML"),
        ("<View>\ud800</View>", "no XML"),
        (BILLION, "document type"),
        (OUTSIDE, "document type"),
        ("<View>" * 101 + "</View>" * 101, "deep"),
        ("<View>" * 150_000, "deep"),
        ("<View>" + " " * 1_000_000 + "</View>", "bytes"),
        ("<View>" + "é" * 600_000 + "</View>", "bytes"),
    ],
)
def test_hostile_or_broken_xml_is_refused(xml, message):
    with pytest.raises(ConfigError, match=message):
        read_config(xml)


@pytest.mark.parametrize(
    "tag", ['<Image name="a" value="$b"/>', '<Brush name="a" toName="a"/>', '<Labels name="a"/>']
)
def test_more_tags_than_anybody_draws_with_are_refused(tag):
    with pytest.raises(ConfigError, match="500 are the most"):
        read_config(f"<View>{tag * 501}</View>")


def test_an_address_that_would_grow_is_not_built():
    config = read_config(f'<View><Image name="image" value="http://x/{"$a" * 400_000}"/></View>')
    with pytest.raises(RequestError, match="8,192 characters"):
        config.picture({"a": "y" * 1_000_000})


def test_a_task_that_names_a_picture_by_parts():
    config = read_config('<View><Image name="image" value="http://x/$a/$b/c.png"/></View>')
    assert config.picture({"a": "1", "b": r"\1"}).address == r"http://x/1/\1/c.png"


def test_an_encoding_that_the_text_claims_does_not_count():
    config = read_config('<?xml version="1.0" encoding="utf-16"?>' + PLAIN)
    assert config.images[0].name == "image"


BROUGHT = labelled("KeyPointLabels", "point", (), smart="true", value="$classes")


def test_labels_that_tasks_bring_are_written_as_they_were_picked():
    config = config_with(BROUGHT, labelled("BrushLabels", "out", (), value="$classes"))
    assert config.output("Anything", "image").name == "out"
    assert config.held("Anything", config.output("Anything", "image"))[1] == "Anything"


def test_a_tag_that_is_known_to_have_the_label_comes_first():
    brought = labelled("BrushLabels", "brush", (), value="$classes")
    config = config_with(BROUGHT, brought, labelled("PolygonLabels", "ring", ("Blob",)))
    assert config.output("Blob", "image").name == "ring"
    assert config.output("Other", "image").name == "brush"


def test_labels_that_tasks_bring_to_the_smart_tool_only():
    config = config_with(BROUGHT, labelled("BrushLabels", "out", ("Blob",)))
    with pytest.raises(ConfigError, match="'Other' was picked"):
        config.output("Other", "image")
