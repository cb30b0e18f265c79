Page({
  data: { id: '', name: '', businessId: '' },

  onLoad({ id = '' }) {
    this.setData({ id })
    wx.request({
      url: `${getApp().globalData.backend}/shops/${encodeURIComponent(id)}`,
      success: ({ statusCode, data }) => {
        // No business_id (a new or a closed shop): the button stays disabled.
        if (statusCode === 200) {
          this.setData({ name: data.name, businessId: data.business_id || '' })
        }
      },
    })
  },

  onReturn({ detail }) {
    wx.navigateTo({ url: detail.path })
  },
})
