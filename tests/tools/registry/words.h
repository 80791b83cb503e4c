#pragma once

#include <array>
#include <string_view>

/// The words that names and addresses are made of. Persons and organisations made from them are invented.
namespace stele::registry::words {

inline constexpr std::array<std::string_view, 64> kSurnames = {
    "王", "李", "张", "刘", "陈", "杨", "黄", "赵", "吴", "周", "徐", "孙", "马", "朱", "胡",   "郭",
    "何", "林", "高", "罗", "郑", "梁", "谢", "宋", "唐", "许", "邓", "冯", "韩", "曹", "曾",   "彭",
    "萧", "蔡", "潘", "田", "董", "袁", "于", "余", "叶", "蒋", "杜", "苏", "魏", "程", "吕",   "丁",
    "沈", "任", "姚", "卢", "傅", "钟", "姜", "崔", "谭", "廖", "范", "汪", "陆", "金", "欧阳", "司徒"};

inline constexpr std::array<std::string_view, 40> kMaleGiven = {
    "伟", "强", "磊", "军", "勇", "杰", "涛", "明", "超", "辉", "刚", "平", "建", "国",
    "志", "文", "斌", "鹏", "飞", "浩", "宇", "峰", "毅", "俊", "永", "海", "龙", "华",
    "东", "林", "晨", "光", "春", "荣", "德", "庆", "家", "振", "立", "新"};

inline constexpr std::array<std::string_view, 40> kFemaleGiven = {
    "芳", "娜", "敏", "静", "丽", "艳", "娟", "霞", "秀", "英", "红", "梅", "玲", "燕",
    "萍", "丹", "雪", "琳", "婷", "慧", "莉", "洁", "倩", "颖", "晶", "欣", "怡", "佳",
    "桂", "兰", "玉", "珍", "凤", "琴", "云", "莲", "翠", "月", "雅", "思"};

/// Counties and districts of Guangdong with their code (GB/T 2260).
struct Area {
  std::string_view code, city, district;
};
inline constexpr std::array<Area, 24> kAreas = {{
    {"440103", "广州市", "荔湾区"}, {"440104", "广州市", "越秀区"}, {"440105", "广州市", "海珠区"},
    {"440106", "广州市", "天河区"}, {"440111", "广州市", "白云区"}, {"440112", "广州市", "黄埔区"},
    {"440113", "广州市", "番禺区"}, {"440203", "韶关市", "武江区"}, {"440303", "深圳市", "罗湖区"},
    {"440304", "深圳市", "福田区"}, {"440305", "深圳市", "南山区"}, {"440306", "深圳市", "宝安区"},
    {"440307", "深圳市", "龙岗区"}, {"440402", "珠海市", "香洲区"}, {"440507", "汕头市", "龙湖区"},
    {"440604", "佛山市", "禅城区"}, {"440605", "佛山市", "南海区"}, {"440606", "佛山市", "顺德区"},
    {"440703", "江门市", "蓬江区"}, {"440802", "湛江市", "赤坎区"}, {"441202", "肇庆市", "端州区"},
    {"441302", "惠州市", "惠城区"}, {"441402", "梅州市", "梅江区"}, {"441802", "清远市", "清城区"},
}};

inline constexpr std::array<std::string_view, 16> kRoads = {"解放路", "中山路", "人民路", "建设路", "环城路", "东风路",
                                                            "体育路", "科技路", "滨江路", "和平路", "文化路", "工业路",
                                                            "新港路", "南园路", "青年路", "珠江路"};

inline constexpr std::array<std::string_view, 24> kFirmNames = {
    "华兴", "永达", "粤丰", "南方", "新科", "海天", "联发", "金龙", "中恒", "东盛", "嘉华", "宏远",
    "瑞丰", "天成", "信诚", "广源", "美达", "长虹", "振业", "国泰", "正大", "百川", "万通", "康达"};

inline constexpr std::array<std::string_view, 16> kTrades = {"电子", "纺织", "机械", "物流", "建筑", "食品",
                                                             "医药", "化工", "家具", "陶瓷", "印刷", "汽车",
                                                             "能源", "软件", "餐饮", "物业"};

/// Economic types with the beginning of the unified social credit code that registers them, and how the name ends.
struct EconomicType {
  std::string_view name, credit_prefix, suffix;
};
inline constexpr std::array<EconomicType, 8> kEconomicTypes = {{
    {"国有", "91", "集团公司"},
    {"集体", "91", "厂"},
    {"有限责任公司", "91", "有限公司"},
    {"股份有限公司", "91", "股份有限公司"},
    {"私营", "91", "有限公司"},
    {"港澳台商投资", "91", "（中国）有限公司"},
    {"外商投资", "91", "投资有限公司"},
    {"事业单位", "12", "研究院"},
}};

inline constexpr std::array<std::string_view, 4> kUnionTypes = {"企业工会", "联合基层工会", "行业工会", "街道工会"};
inline constexpr std::string_view kInstitutionUnion = "机关事业单位工会";
inline constexpr std::array<std::string_view, 4> kHouseholdTypes = {"本地城镇", "本地农村", "外地城镇", "外地农村"};
inline constexpr std::array<std::string_view, 10> kMobilePrefixes = {"130", "131", "135", "136", "138",
                                                                     "139", "150", "158", "186", "189"};

}  // namespace stele::registry::words
