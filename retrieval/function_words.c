/*
 * Words that stand in any text: articles, pronouns, prepositions, auxiliaries. A topic that gathers
 * one language of several would otherwise be called "der, die, und". The list serves labels alone;
 * search needs none, because idf weighs them down.
 */
#include <string.h>

#include "retrieval/topics.h"

enum { LONGEST = 16 };

/* Casefolded, each between spaces. */
static const char *const function_words[] = {
    /* English */
    " a about above after again against all almost alone along already also although always am "
    "among an and another any anyone anything are around as at away back be became because "
    "become been before being below between both but by came can cannot could did do does "
    "doing done down during each either else even ever every few first for from further gave "
    "get gets getting give given go goes going gone got had has have having he her here hers "
    "herself him himself his how however i if in indeed into is it its itself just keep last "
    "later least less let like likely made make makes making many may maybe me might mine "
    "more most much must my myself near neither never next no nobody none nor not nothing now "
    "of off often on once one only onto or other others otherwise our ours ourselves out over "
    "own per perhaps put quite rather really said same say says second see seem seems seen "
    "several shall she should since so some someone something sometimes soon still such take "
    "taken than that the their theirs them themselves then there therefore these they thing "
    "things this those though three through thus to together too took toward towards two "
    "under until up upon us use used uses using usually very via want was way we well went "
    "were what whatever when where whether which while who whole whom whose why will with "
    "within without would yes yet you your yours yourself ",
    /* and what an apostrophe leaves */
    " ain aren couldn didn doesn don hadn hasn haven isn ll mustn re shouldn ve wasn weren won "
    "wouldn ",
    /* German */
    " aber alle allem allen aller alles als also am an ander andere anderem anderen anderer "
    "anderes auch auf aus bei beim bereits bin bis bist da dabei dadurch dafür dagegen daher "
    "damit danach dann daran darauf daraus darf darin darum darüber das dass dazu dein deine "
    "dem den denn der deren des dessen dich die dies diese diesem diesen dieser dieses dir "
    "doch dort du durch ein eine einem einen einer eines einige einigen einmal er erst es "
    "etwa etwas euch euer für gab ganz gar gegen gemacht gerade gibt ging habe haben hat "
    "hatte hatten her hier hin hinter ich ihm ihn ihnen ihr ihre ihrem ihren ihrer ihres im "
    "immer in indem ins ist ja je jede jedem jeden jeder jedes jedoch jene jener jetzt kann "
    "kein keine keinem keinen keiner konnte können könnte lassen machen macht man manche mehr "
    "mein meine mich mir mit muss musste müssen nach nachdem nicht nichts noch nun nur ob "
    "oder ohne schon sehr seien sein seine seinem seinen seiner seit selbst sich sie sind so "
    "sogar solche soll sollen sollte sondern sonst sowie trotz um und uns unser unsere unter "
    "viel viele vielen vom von vor war waren warum was weil weiter welche welcher wenn wer "
    "werde werden wie wieder will wir wird wo wurde wurden während wäre zu zum zur zwar "
    "zwischen über ",
    /* French */
    " au aucun aussi autre autres aux avait avant avec avoir c car ce cela ces cet cette ceux "
    "chaque chez ci comme comment contre d dans de depuis des deux dit doit donc dont du elle "
    "elles en encore entre est et eu eux faire fait faut fut il ils j jamais je jusque l la "
    "le les leur leurs lors lui là mais me mes moi moins mon même n ne ni non nos notre nous "
    "on ont ou où par parce pas pendant peu peut plus pour pourquoi puis qu quand que quel "
    "quelle quelques qui quoi s sa sans se selon sera ses seulement si sinon soit son sont "
    "sous sur t ta tandis te tes toi ton tous tout toute toutes très tu un une vers voici vos "
    "votre vous y à été être ",
    /* Spanish */
    " al algo algunas algunos ante antes aquí así aunque años bien cada casi como con contra "
    "cual cuando cuatro de debe del desde después donde durante el ella ellas ellos entonces "
    "entre era eran es esa esas ese eso esos esta estaba estas este esto estos está están fue "
    "fueron ha hace hacia han hasta hay haya la las le les lo los me mi mientras mis mismo "
    "muy más ni no nos nosotros nuestra nuestro o otra otras otro otros para pero poco por "
    "porque pues que quien qué se sea según ser si sido siempre sin sobre solo son su sus sí "
    "sólo también tan tanto te tiene tienen toda todas todo todos tras tu tus un una unas uno "
    "unos usted ya yo él ",
    /* Italian */
    " agli ai al alla alle allo altri altro anche ancora avere aveva c che chi ci coi col come "
    "con contro cosa così cui da dagli dai dal dalla dalle dallo degli dei del della delle "
    "dello dentro di dopo dove due e ed era erano essere fa fino fra gli ha hai hanno ho i il "
    "in io la le lei li lo loro lui ma mentre mi mio molto ne negli nei nel nella nelle nello "
    "noi non nostra nostro o ogni oltre per perché però più poi prima proprio può qual quale "
    "quali quando quanto quella quelle quelli quello questa queste questi questo qui se "
    "sempre senza sia siamo sono stata stati stato stesso su sua sue sugli sui sul sulla "
    "sulle suo suoi tra tutta tutte tutti tutto un una uno va vi voi è ",
    /* Portuguese */
    " ao aos apenas as assim até cada com como da das depois desde dois dos e ela elas ele "
    "eles em entre então era eram essa esse esta este está estão eu foi foram há isso isto já "
    "lhe mais mas me mesmo meu minha muito na nas nem no nos nossa nosso num numa não o onde "
    "os ou outra outro para pela pelas pelo pelos por porque quais qual quando quanto que "
    "quem se sem ser seu seus sob sobre sua suas são só tal também te tem ter tinha toda "
    "todas todo todos tua tudo um uma umas uns você vocês à às é ",
    /* Dutch */
    " aan al alle alleen als altijd ander andere anders bij bijvoorbeeld binnen daar dan dat "
    "de deze die dit doen door dus een eens eerst elk elke en er ge geen haar had hadden heb "
    "hebben heeft hem het hij hoe hun iemand iets ik in is ja je jij jullie kan kon kunnen "
    "maar me meer men met mij mijn moest moet moeten na naar net niet niets nog nu of om "
    "omdat onder ons onze ook op over sinds te tegen ten ter toch toen tot tussen uit uw vaak "
    "van veel via voor vooral waar waren was wat we wel welke werd werden wie wij worden "
    "wordt zal ze zeer zelf zich zij zijn zo zonder zou zouden ",
};

/* Pairs of characters come without knowledge of words, so most with one of these in it are no
 * word. */
static const char chinese_particles[] =
    "的了是在和与及其也而被把将对从但并或若则之于以所这那哪您你我他她它们个很都就还又更最";
static const char *const chinese_words[] = {
    "一些", "一种", "一样", "不同", "由于", "因为", "因此", "如果", "虽然", "通过", "进行", "可以",
    "可能", "可是", "能够", "没有", "已经", "认为", "成为", "称为", "作为", "自己", "当时", "之间",
    "以及", "许多", "有些", "有的", "什么", "怎么", "为了", "例如", "包括", "使用", "需要", "应该",
};

/* A pair of hiragana is an ending or a particle: what tells is written in kanji or katakana. */
static bool is_function_pair(const char *word, size_t length) {
    size_t at = 0, hiragana = 0, count = 0;
    while (at < length) {
        int32_t code;
        size_t size = sat_utf8_decode(word + at, length - at, &code);
        char character[5] = {0};
        memcpy(character, word + at, size);
        if (code >= 0x4E00 && code <= 0x9FFF && strstr(chinese_particles, character))
            return true;
        hiragana += code >= 0x3040 && code <= 0x309F;
        count++;
        at += size;
    }
    for (size_t i = 0; i < SAT_COUNT(chinese_words); i++)
        if (strlen(chinese_words[i]) == length && memcmp(chinese_words[i], word, length) == 0)
            return true;
    return count > 0 && hiragana == count;
}

bool sat_is_function_word(const char *word, size_t length) {
    if (length == 0 || length > LONGEST)
        return false;
    int32_t first;
    sat_utf8_decode(word, length, &first);
    if (sat_is_unspaced(first))
        return is_function_pair(word, length);
    char sought[LONGEST + 3] = " ";
    memcpy(sought + 1, word, length);
    sought[length + 1] = ' ';
    sought[length + 2] = '\0';
    for (size_t i = 0; i < SAT_COUNT(function_words); i++)
        if (strstr(function_words[i], sought))
            return true;
    return false;
}
