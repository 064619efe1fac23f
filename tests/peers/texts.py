"""Texts that an encoder meets: many languages, odd characters, extremes of length. The same on every
run; no text is anyone's."""
import random

WORDS = {
    "English": "the a river engine carries cold water through small towns before winter because nobody "
               "repaired old bridges when engineers measured pressure, temperature and unusual currents "
               "twice unaffordable electroencephalography don't it's e.g. U.S. 3.14 1,000 state-of-the-art",
    "German": "der die das Fluss führt kaltes Wasser durch kleine Städte bevor Straßenbahnhaltestellen "
              "im Herbst schließen weil Übergröße ändern können größere Brücken Donaudampfschifffahrt",
    "French": "l'eau où déjà été garçon cœur naïve français Noël très près d'un fleuve ancien à Nîmes",
    "Polish": "zażółć gęślą jaźń łódź źródło święto pięć rzeka przez małe miasto",
    "Vietnamese": "nước chảy qua thành phố nhỏ trước mùa đông người Việt được đường",
    "Turkish": "İstanbul ılık ışık çağrı şehir ırmak büyük değişiklik",
    "Russian": "река несёт холодную воду через маленькие города перед зимой инженеры измерили её",
    "Greek": "ο ποταμός φέρνει κρύο νερό στις μικρές πόλεις πριν από τον χειμώνα Ὀδυσσεύς",
    "Arabic": "النهر يحمل الماء البارد عبر المدن الصغيرة قبل الشتاء مُحَمَّد ٣٤٥",
    "Hebrew": "הנהר נושא מים קרים דרך ערים קטנות לפני החורף שָׁלוֹם",
    "Hindi": "नदी छोटे शहरों से ठंडा पानी ले जाती है सर्दी से पहले क्योंकि १२३",
    "Thai": "แม่น้ำพาน้ำเย็นผ่านเมืองเล็กก่อนฤดูหนาว วิศวกร วัดความดัน",
    "Chinese": "河流 在冬天之前 带着冷水 穿过小城，工程师 测量了 压力。温度 桥梁 没有人 修理",
    "Japanese": "川は 冬の前に 冷たい水を 小さな町へ 運ぶ。エンジニア 圧力を ﾊﾝｶｸ 測った",
    "Korean": "강은 겨울 전에 차가운 물을 작은 도시로 나른다 기술자들이 압력을 쟀다",
}

ODD = [
    "", " ", "\n\t\r", "\u3000\u2003\xa0", "?", "...", "!?!?!?", "a", "1", "§", "今", "😀",
    "😀😀😀", "👩‍👩‍👧‍👦 family", "👍🏽 ok", "🇩🇪🇫🇷", "❤️ heart", "☃", "e\u0301 \u0065\u0301\u0323 o\u0302\u0303",
    "\u0301", "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́", "naïve cafés", "ＦＵＬＬ ｗｉｄｔｈ", "ﬁne ﬂow ﬀ", "½ ² ™ ℃ ㎏", "Ⅷ ⅔", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "soft\u00adhyphen zero\u200bwidth\u200djoin \ufeffbom", "bell\x07 esc\x1b del\x7f nul\x00 end",
    "line\u2028sep\u2029par\x0bvt\x0cff\x85nel", "\u202eright to left\u202c", "bad \ufffd char",
    "[CLS] [SEP] [MASK] [PAD] [UNK]", "[SEP]", "text [SEP] more [CLS]text", "[unused1] ##ing ## # ▁word",
    "https://example.org/a/very/long/path?with=parameters&and=more#" + "fragment-" * 40,
    "x" * 99, "x" * 100, "x" * 101, "supercalifragilisticexpialidocious " * 3, "ab" * 5000,
    "3.14159 2,718,281 1e-10 0x7fff 192.168.0.1 +49-30-1234567 12:34:56 2024-02-29 $9.99 50%",
    "def f(x):\n    return {k: v for k, v in x.items() if v != None}  # comment",
    "<html><body class='a'>&amp; text</body></html>", "C:\\Windows\\System32\\*.dll",
    "mixed 中文 and English 混合 テスト test", "ÀÉÎÕÜ àéîõü", "ǅ Ǆ ǆ ß ẞ ſ", "İ I ı i", "ΑΣ ας Σ", "K Å Ω",
    "a\u0300b\u0301c", "한국어 한국어", "\uf900\ufa30 \U0002f800 \U0002b81d", "\u302e\u302f a\u302e\U00016ff0",
    "—–‐‑‒―«»“”‘’‚„…‰‹›", "~`!@#$%^&*()_+-={}[]|\\:;\"'<>,.?/", "。、「」？！", "¿Qué? ¡No!", "\u0964 \u0965 \u06d4 \u061f",
    "word " * 10000, "河" * 1000, "a " * 126, "a " * 127, "a " * 128, "a " * 253, "a " * 254, "a " * 255,
    "unaffable " * 200, ". " * 300, "the\n" * 300, "\U0010ffff \ue000 private \U000e0041 tag",
]


def make():
    rng = random.Random(20240131)
    out = list(ODD)
    for language, words in WORDS.items():
        words = words.split(" ")
        for length in (1, 2, 3, 5, 8, 12, 20, 40, 90) + ((150, 250) if language == "English" else ()):
            out.append(" ".join(rng.choice(words) for _ in range(length)))
        out.append(" ".join(words).upper())
    everything = " ".join(WORDS.values()).split(" ")
    for length in (4, 10, 30, 60):
        out.append(" ".join(rng.choice(everything) for _ in range(length)))
    return out
