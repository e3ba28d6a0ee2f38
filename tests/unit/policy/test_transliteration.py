"""Texts in the letters of GSM, against the examples of the tables themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mgate.policy.segments import is_gsm7
from mgate.policy.transliteration import TABLES, transliterate

# The examples that stand beside the letters in resolution No. 55 of 2010.
UKRAINIAN = {
    "Алушта": "Alushta", "Андрій": "Andrii", "Борщагівка": "Borshchahivka", "Вінниця": "Vinnytsia",
    "Гадяч": "Hadiach", "Згурський": "Zghurskyi", "Ґалаґан": "Galagan", "Донецьк": "Donetsk", "Рівне": "Rivne",
    "Єнакієве": "Yenakiieve", "Короп'є": "Koropie", "Житомир": "Zhytomyr", "Запоріжжя": "Zaporizhzhia",
    "Закарпаття": "Zakarpattia", "Медвин": "Medvyn", "Іршава": "Irshava", "Їжакевич": "Yizhakevych",
    "Кадиївка": "Kadyivka", "Мар'їне": "Marine", "Йосипівка": "Yosypivka", "Стрий": "Stryi", "Київ": "Kyiv",
    "Лебедин": "Lebedyn", "Суми": "Sumy", "Ужгород": "Uzhhorod", "Фастів": "Fastiv", "Харків": "Kharkiv",
    "Біла Церква": "Bila Tserkva", "Чернівці": "Chernivtsi", "Шостка": "Shostka", "Гоща": "Hoshcha",
    "Юрій": "Yurii", "Корюківка": "Koriukivka", "Яготин": "Yahotyn", "Костянтин": "Kostiantyn",
    "Знам'янка": "Znamianka", "Феодосія": "Feodosiia", "Розгон": "Rozghon",
}  # fmt: skip
RUSSIAN = {
    "Щукин": "Shchukin", "Ёлкин": "Elkin", "Юлия": "Iuliia", "Подъезд": "Podieezd", "Хохлов": "Khokhlov",
    "Цветаева": "Tsvetaeva", "Эйфель": "Eifel", "Мышь": "Mysh", "Жюль": "Zhiul", "ЩУКА": "SHCHUKA", "Я": "Ia",
}  # fmt: skip
BELARUSIAN = {
    "Магілёў": "Mahiliou", "Гомель": "Homel", "Аб'ект": "Abekt", "Ўжо": "Uzho", "Хойнікі": "Khoiniki",
    "Эсэ": "Ese", "Шчучын": "Shchuchyn",
}  # fmt: skip
GREEK = {
    "Ευαγγελία": "Evangelia", "Αύριο": "Avrio", "αυτός": "aftos", "Μπάμπης": "Bampis", "Αθήνα": "Athina",
    "Ουρανός": "Ouranos", "άγχος": "anchos", "ΑΘΗΝΑ": "ATHINA", "ευχαριστώ": "efcharisto", "λάρυγξ": "larynx",
    "προϋπόθεση": "proypothesi", "ψυχή": "psychi", "γκολ": "gkol",
}  # fmt: skip
TURKISH = {"Şişli": "Sisli", "ağız": "agiz", "İstanbul": "Istanbul", "Çok güzel ölçü": "Çok güzel ölcü"}


@pytest.mark.parametrize(
    ("table", "given", "wanted"),
    [
        (table, *pair)
        for table, examples in {"uk": UKRAINIAN, "ru": RUSSIAN, "be": BELARUSIAN, "el": GREEK, "tr": TURKISH}.items()
        for pair in examples.items()
    ],
)
def test_the_examples_of_the_tables(table: str, given: str, wanted: str) -> None:
    assert transliterate(given, table) == wanted


def test_digits_of_persian_and_arabic_are_digits() -> None:
    assert transliterate("۴۸۲۹۱۳ ٤٨٢", "digits") == "482913 482"


@pytest.mark.parametrize("table", TABLES)
def test_every_table_makes_marks_plain(table: str) -> None:
    assert transliterate("“12…” – 5\u00a0€ №7", table) == '"12..." - 5 € No7'


@pytest.mark.parametrize(
    ("table", "letters"),
    [
        ("uk", "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя"),
        ("ru", "абвгдеёжзийклмнопрстуфхцчшщъыьэюя"),
        ("be", "абвгдеёжзійклмнопрстуўфхцчшыьэюя"),
        ("el", "αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋΐΰ"),
        ("tr", "abcçdefgğhıijklmnoöprsştuüvyz"),
        ("digits", "0123456789۰۱۲۳۴۵۶۷۸۹٠١٢٣٤٥٦٧٨٩"),
    ],
)
def test_every_letter_of_a_language_gets_into_gsm(table: str, letters: str) -> None:
    assert is_gsm7(transliterate(letters, table))
    assert is_gsm7(transliterate(letters.upper(), table))


@given(st.text("ABCabc 0123.,!?-'\n@", max_size=40), st.sampled_from(TABLES))
def test_what_a_table_does_not_know_stays(text: str, table: str) -> None:
    assert transliterate(text, table) == text


@pytest.mark.parametrize(("sign", "latin"), [("µ", "m"), ("ϵυ", "ev"), ("ϐ", "v"), ("Ω", "O"), ("ᾐ", "ᾐ")])
def test_a_greek_letter_in_another_dress_is_that_letter(sign: str, latin: str) -> None:
    assert transliterate(f"{sign}α", "el") == f"{latin}a"


@given(st.text(max_size=30), st.sampled_from(TABLES))
def test_no_text_breaks_a_table(text: str, table: str) -> None:
    transliterate(text, table)
